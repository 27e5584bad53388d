"""Pure: which of several servers gets the next request, and which of them are out for now.

Requests go where the fewest are in flight; those about an image that a server has just seen go there again, because
it keeps the image's part of the answer. A server that fails several times in a row is ejected. It returns when it says
that it is well, but on trial: with one request, until it has answered one.
"""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

# More than are in flight anywhere; what comes later than so many other images finds the server's caches cold anyway.
_REMEMBERED_IMAGES = 4096


@dataclass(frozen=True, slots=True)
class FleetLimits:
    """When a server is full, out, and back."""

    max_in_flight: int
    """Requests at each server."""
    eject_after: int
    """Failures in a row."""
    return_after_s: float
    """First pause; each further one is twice as long."""
    max_return_after_s: float


@dataclass(slots=True, eq=False)
class Server:
    """One server as the fleet knows it."""

    url: str
    in_flight: int = 0
    failures: int = 0
    """In a row."""
    ejections: int = 0
    """Since its last answer."""
    out: bool = False

    @property
    def name(self) -> str:
        """Host and port, for logs and messages."""
        return self.url.partition("://")[2].partition("/")[0]


@dataclass(slots=True)
class Fleet:
    """All servers; every `take` is followed by a `release`, and by `answered` or `failed` unless it was cancelled."""

    servers: Sequence[Server]
    limits: FleetLimits
    _turn: int = 0
    _home: OrderedDict[str, Server] = field(default_factory=OrderedDict)

    @property
    def all_out(self) -> bool:
        """Whether no server gets requests."""
        return all(server.out for server in self.servers)

    @property
    def room(self) -> int:
        """How many more requests can be taken."""
        return sum(max(0, self._room(server) - server.in_flight) for server in self.servers)

    def take(self, image_key: str, *, tried: Collection[Server] = ()) -> Server | None:
        """Give a request about an image to a server that has room, best to an untried one; None if none has room."""
        free = [server for server in self.servers if server.in_flight < self._room(server)]
        free = [server for server in free if server not in tried] or free
        if not free:
            return None
        home = self._home.get(image_key)
        server = home if home in free else self._least_loaded(free)
        self._remember(image_key, server)
        server.in_flight += 1
        return server

    def release(self, server: Server) -> None:
        """Take note that a request has ended, however it did."""
        server.in_flight -= 1

    def answered(self, server: Server) -> None:
        """Take note of an answer that shows a server to be well; one that is out returns on its own road."""
        if not server.out:
            server.failures = server.ejections = 0

    def failed(self, server: Server) -> bool:
        """Take note of a failure; return whether the server should be ejected for it."""
        server.failures += 1
        return not server.out and server.failures >= (1 if server.ejections else self.limits.eject_after)

    def eject(self, server: Server) -> None:
        """Give a server no more requests; each time in a row doubles the pause until it is looked at again."""
        server.out = True
        server.ejections += 1

    def readmit(self, server: Server) -> None:
        """Give a server requests again, one at a time until one is answered."""
        server.out = False
        server.failures = 0

    def pause_s(self, server: Server) -> float:
        """Return how long to wait before an ejected server is looked at."""
        doubled = min(server.ejections - 1, 30)  # beyond every limit, and far from overflowing
        return min(self.limits.max_return_after_s, self.limits.return_after_s * 2.0**doubled)

    def _room(self, server: Server) -> int:
        if server.out:
            return 0
        return 1 if server.ejections else self.limits.max_in_flight

    def _least_loaded(self, free: Sequence[Server]) -> Server:
        # Equals take turns, or an idle fleet's first server would do everything.
        self._turn += 1
        turned = [free[(self._turn + place) % len(free)] for place in range(len(free))]
        return min(turned, key=lambda server: server.in_flight)

    def _remember(self, image_key: str, server: Server) -> None:
        self._home[image_key] = server
        self._home.move_to_end(image_key)
        if len(self._home) > _REMEMBERED_IMAGES:
            self._home.popitem(last=False)
