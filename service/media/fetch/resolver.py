"""Names to addresses, without threads: events choose the names, and some names' servers never answer.

A look-up costs a datagram and a timer, so that look-ups that hang do not delay others. c-ares reads the hosts file and
resolv.conf with its search domains, as the operating system does, and notices when they change.
"""

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiodns import DNSResolver
from aiodns.error import ARES_ETIMEOUT, DNSError
from aiohttp.abc import AbstractResolver, ResolveResult

# Short enough that a retry a moment later asks again; long enough that a burst of events with one name asks once.
REMEMBER_FAILURE_S = 1.0
REMEMBER_S = 10.0
MAX_REMEMBERED = 1024
# More than fetches can wait for at a time: what is left over from fetches that gave up ends by itself.
MAX_LOOKUPS = 1024
# Connecting tries one after the other, and a name can have hundreds.
MAX_ADDRESSES = 16

# c-ares waits from 0.25 s to this for an answer, by how fast the name server was lately, and twice as long each time.
_TRY_S = 2.0
_TRIES = 4

# Routable addresses for the question whether there is a way there; nothing is sent to them.
_FAR_AWAY = {socket.AF_INET: "1.1.1.1", socket.AF_INET6: "2606:4700:4700::1111"}

Address = tuple[str, socket.AddressFamily]


class NameUnknownError(OSError):
    """The name has no addresses, or no name server responds in time."""


class NameTimeoutError(NameUnknownError):
    """The name servers did not respond in time."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What a look-up found, and until when that is true enough."""

    addresses: tuple[Address, ...]
    failure: type[NameUnknownError] | None
    until_s: float


class NameResolver(AbstractResolver):
    """Looks names up by the hosts file and DNS; each name once at a time, and for a short time only once.

    `servers` are asked instead of those that resolv.conf names: addresses, each with a port if it is not 53.
    """

    def __init__(
        self, *, timeout_s: float, servers: Sequence[str] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._timeout_s = timeout_s
        self._servers = servers
        self._clock = clock
        self._ares: DNSResolver | None = None
        self._found: dict[str, _Found] = {}
        self._lookups: dict[str, asyncio.Task[_Found]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return a host's addresses, the best reachable first; raise `NameUnknownError` if none is found in time.

        Addresses of a family that this machine has no way to are left out, as AI_ADDRCONFIG does (RFC 3493).
        """
        found = self._found.get(host)
        if found is None or found.until_s <= self._clock():
            # The look-up is others' too, and goes on when this caller gives up.
            found = await asyncio.shield(self._look_up_once(host))
        if found.failure is not None:
            raise found.failure(socket.EAI_NONAME, "no address found")
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=of_family, proto=0, flags=socket.AI_NUMERICHOST
            )
            for address, of_family in found.addresses
            if family in (socket.AF_UNSPEC, of_family)
        ]

    async def close(self) -> None:
        """End all look-ups."""
        lookups = list(self._lookups.values())
        for lookup in lookups:
            lookup.cancel()
        await asyncio.gather(*lookups, return_exceptions=True)
        if self._ares is not None:
            await self._ares.close()

    def _look_up_once(self, host: str) -> asyncio.Task[_Found]:
        lookup = self._lookups.get(host)
        if lookup is None:
            if len(self._lookups) >= MAX_LOOKUPS:
                raise NameTimeoutError(socket.EAI_AGAIN, "too many look-ups")
            lookup = self._lookups[host] = asyncio.create_task(self._look_up(host), name=f"look up {host}")
            lookup.add_done_callback(lambda _: self._lookups.pop(host))
        return lookup

    async def _look_up(self, host: str) -> _Found:
        addresses: tuple[Address, ...] = ()
        failure: type[NameUnknownError] | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                addresses = await self._ask(host)
        except TimeoutError:
            failure = NameTimeoutError
        except (DNSError, ValueError) as error:  # what can be no name in DNS is a ValueError
            failure = NameTimeoutError if ARES_ETIMEOUT in error.args else NameUnknownError
        found = _Found(addresses, failure, self._clock() + (REMEMBER_FAILURE_S if failure else REMEMBER_S))
        self._remember(host, found)
        return found

    async def _ask(self, host: str) -> tuple[Address, ...]:
        if self._ares is None:
            self._ares = DNSResolver(self._servers, timeout=_TRY_S, tries=_TRIES)
        answer = await self._ares.getaddrinfo(host, family=_reachable_family(), type=socket.SOCK_STREAM)
        nodes = answer.nodes[:MAX_ADDRESSES]
        return tuple((node.addr[0].decode(), socket.AddressFamily(node.family)) for node in nodes)

    def _remember(self, host: str, found: _Found) -> None:
        self._found.pop(host, None)
        self._found[host] = found
        while len(self._found) > MAX_REMEMBERED:
            del self._found[next(iter(self._found))]


def _reachable_family() -> socket.AddressFamily:
    """Return the only family that this machine has a way to, or "unspecified" for both or neither."""
    reachable = [family for family, address in _FAR_AWAY.items() if _has_way(family, address)]
    return reachable[0] if len(reachable) == 1 else socket.AF_UNSPEC


def _has_way(family: socket.AddressFamily, address: str) -> bool:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 53))
    except OSError:
        return False
    return True
