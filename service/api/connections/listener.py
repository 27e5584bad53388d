"""Sockets that the API listens on, and the errors of an address that cannot be used."""

import asyncio
import errno
import socket

from service.core.errors import FatalError

# Clients that wait in the operating system while the event loop is busy; Linux cuts it to net.core.somaxconn.
_BACKLOG = 1024

_ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class PortTakenError(FatalError):
    """Another process listens on the address and port of `api.host` and `api.port`."""

    reason = "api.port_taken"
    message = (
        "{host}:{port} is taken (settings api.host and api.port), by another process of the service perhaps: "
        "give each one a port of its own"
    )


class AddressUnusableError(FatalError):
    """This machine has no such address, or the process may not listen on it."""

    reason = "api.address_unusable"
    message = "cannot listen on {host}:{port} (settings api.host and api.port): {detail}"


async def listen(host: str, port: int) -> list[socket.socket]:
    """Return listening sockets, one for each address of the host; port 0 takes a free one for all of them.

    An address of a family that this machine lacks is left out, as long as there is another. Raises `PortTakenError`
    or `AddressUnusableError`.
    """
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, address in await _addresses(host, port):
            try:
                sockets.append(_listening(family, address, port or _port(sockets)))
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                absent = error
        if not sockets and absent is not None:
            raise absent
    except OSError as error:
        _close(sockets)
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(host=host, port=port) from error
        raise AddressUnusableError(host=host, port=port, detail=error.strerror or str(error)) from error
    return sockets


async def _addresses(host: str, port: int) -> list[tuple[int, str]]:
    found = await asyncio.get_running_loop().getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def _listening(family: int, address: str, port: int) -> socket.socket:
    listening = socket.create_server((address, port), family=family, backlog=_BACKLOG)
    listening.setblocking(False)
    return listening


def _port(sockets: list[socket.socket]) -> int:
    return int(sockets[0].getsockname()[1]) if sockets else 0


def _close(sockets: list[socket.socket]) -> None:
    for listening in sockets:
        listening.close()
