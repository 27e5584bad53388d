"""The guard at the only way out: it makes the sockets, so it sees each address that is really dialled.

Whatever a name resolved to a moment ago, whatever notation or redirect led here: aiohttp asks its socket factory for
a socket for one numeric address and dials exactly that address.
"""

import errno
import socket
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from service.media.fetch.addresses import IpNetwork, is_metadata, is_private, is_public, names_metadata, really_reached

# As in aiohttp: family, type, protocol, canonical name, and the address, which starts with host and port.
AddrInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]


class AddressRefusedError(OSError):
    """The guard made no socket for this address.

    An `OSError`, because aiohttp then goes on to a name's next address; in the end it raises the error of the last one.
    With one text for all addresses, because several errors with different texts would reach us as one `OSError` that
    has forgotten its class.
    """

    def __init__(self, address: str) -> None:
        super().__init__(errno.EACCES, "address not allowed")
        self.address = address


@dataclass(slots=True)
class Dialled:
    """The addresses that the guard saw for one request."""

    is_internal: bool = False
    """Whether an address was tried that is not public, because the operator opened it."""


# aiohttp asks for sockets in tasks of its own, which inherit it.
DIALLED: ContextVar[Dialled | None] = ContextVar("dialled", default=None)


class AddressGuard:
    """Decides which addresses may be dialled: public ones, those in `open_networks`, and private ones if trusted.

    A metadata service stays closed to trusted hosts and to wider networks; only a network of its own opens it.
    """

    def __init__(self, open_networks: Iterable[IpNetwork], *, trusts_private: bool) -> None:
        self._open_networks = tuple(open_networks)
        self._trusts_private = trusts_private

    def permits(self, address: str) -> bool:
        """Return whether an address may be contacted; the text must be a numeric address."""
        try:
            # A zone ("fe80::1%eth0") says that it is an address of this link only.
            reached = None if "%" in address else really_reached(ip_address(address))
        except ValueError:
            return False
        if reached is None:
            return False
        opened_by = [network for network in self._open_networks if reached in network]
        if is_metadata(reached):
            return any(names_metadata(network) for network in opened_by)
        return bool(opened_by) or is_public(reached) or (self._trusts_private and is_private(reached))

    def open_socket(self, addr_info: AddrInfo) -> socket.socket:
        """Make a socket for one address, or raise `AddressRefusedError`; aiohttp's socket factory."""
        family, kind, protocol, _, address = addr_info
        host = str(address[0])
        if not self.permits(host):
            raise AddressRefusedError(host)
        if (dialled := DIALLED.get()) is not None and not is_public(really_reached(ip_address(host))):
            dialled.is_internal = True
        return socket.socket(family, kind, protocol)
