"""Pure: which of several servers gets the next request, and which of them are out for now.

Requests go where the fewest are in flight; those about an image that a server has just seen go there again, because
it keeps the image's part of the answer. A server that does not work is ejected. One that has too much to do rests for
some time, and has half as many requests in flight after that, and one more after each answer. Both return on trial:
with one request, until it has answered one.

A record that may be what servers fail on is judged alone: one server at a time is reserved for such records.
"""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from service.core.errors import ModstreamError

# More than are in flight anywhere; what comes later than so many other images finds the server's caches cold anyway.
_REMEMBERED_IMAGES = 4096

# "Retry-After: 0" is an answer of busy servers, too; without a pause the same request would come at once.
_SHORTEST_REST_S = 0.1


@dataclass(frozen=True, slots=True)
class FleetLimits:
    """The limits that decide when a server is full, ejected, and readmitted."""

    max_in_flight: int
    """Requests at each server."""
    eject_after: int
    """Failures in a row after which a server is checked."""
    return_after_s: float
    """First pause; each further one is twice as long."""
    max_return_after_s: float


@dataclass(slots=True, eq=False)
class Server:
    """One server: its requests in flight, its share, and its state."""

    url: str
    in_flight: int = 0
    failures: int = 0
    """Failures in a row."""
    ejections: int = 0
    """Since its last answer."""
    out: bool = False
    is_resting: bool = False
    """It said that it has too much to do, and gets nothing for some time."""
    rests: int = 0
    """Since its last answer."""
    limit: int = 2**31
    """Requests in flight that it seems able to bear; `FleetLimits.max_in_flight` bounds it too."""
    answers: int = 0
    """Requests that it has answered so far."""
    fault: ModstreamError | None = None
    """What it was ejected for."""

    @property
    def in_use(self) -> bool:
        """Whether the server gets requests now."""
        return not self.out and not self.is_resting

    @property
    def is_on_trial(self) -> bool:
        """Whether the server has answered nothing since it was ejected or began to rest."""
        return self.ejections > 0 or self.rests > 0

    @property
    def name(self) -> str:
        """Host and port of the server, for logs and messages."""
        return self.url.partition("://")[2].partition("/")[0]


@dataclass(slots=True)
class Fleet:
    """All servers. Each `take` is followed by a `release`, and by `answered` or `failed` unless it was cancelled."""

    servers: Sequence[Server]
    limits: FleetLimits
    _turn: int = 0
    _home: OrderedDict[str, Server] = field(default_factory=OrderedDict)
    _reserved: Server | None = None

    @property
    def all_out(self) -> bool:
        """Whether no server gets requests until it is found to be well."""
        return all(server.out for server in self.servers)

    @property
    def is_available(self) -> bool:
        """Whether any server gets requests now."""
        return any(server.in_use for server in self.servers)

    @property
    def is_reachable(self) -> bool:
        """Whether any server works: one that rests again and again without an answer does not."""
        return any(not server.out and server.rests <= 1 for server in self.servers)

    @property
    def answers(self) -> int:
        """The number of requests that were answered so far."""
        return sum(server.answers for server in self.servers)

    @property
    def room(self) -> int:
        """The number of further requests that the servers can take."""
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

    def take_alone(self, *, tried: Collection[Server] = ()) -> Server | None:
        """Give a request a server of its own once that is idle; until then None, and the server is kept from others."""
        if self._reserved is None or not self._reserved.in_use:
            used = [server for server in self.servers if server.in_use]
            used = [server for server in used if server not in tried] or used
            self._reserved = self._least_loaded(used) if used else None
        server = self._reserved
        if server is None or server.in_flight:
            return None
        server.in_flight += 1
        return server

    def is_reserved(self, server: Server) -> bool:
        """Whether a server is kept for requests that have it to themselves."""
        return server is self._reserved

    @property
    def is_used_alone(self) -> bool:
        """Whether a request is in flight at the server that is reserved."""
        return self._reserved is not None and self._reserved.in_flight > 0

    def end_reservation(self) -> None:
        """Let all servers take all requests again."""
        self._reserved = None

    def release(self, server: Server) -> None:
        """Record that a request has ended, with any result."""
        server.in_flight -= 1

    def answered(self, server: Server) -> None:
        """Take note of an answer that shows a server to be well; one that is out returns on its own road."""
        server.answers += 1
        server.limit = min(server.limit + 1, self.limits.max_in_flight)
        if not server.out:
            server.failures = server.ejections = server.rests = 0

    def failed(self, server: Server) -> bool:
        """Take note of a failure; return whether the server should be checked for it."""
        server.failures += 1
        return not server.out and server.failures >= (1 if server.ejections else self.limits.eject_after)

    def eject(self, server: Server, fault: ModstreamError | None = None) -> None:
        """Give a server no more requests; each time in a row doubles the pause until its next check."""
        server.out = True
        server.ejections += 1
        server.fault = fault

    def readmit(self, server: Server) -> None:
        """Give a server requests again, one at a time until one is answered."""
        server.out = False
        server.failures = 0
        server.fault = None

    def slow_down(self, server: Server) -> None:
        """Give a server half as many requests as it has in flight now; each answer allows one more."""
        server.limit = max(1, min(server.limit, server.in_flight) // 2)

    def rest(self, server: Server) -> bool:
        """Give a server that is too busy nothing until `end_rest`; return False if it rests already."""
        if server.is_resting:
            return False
        server.is_resting = True
        server.rests += 1
        self.slow_down(server)
        return True

    def end_rest(self, server: Server) -> None:
        """Give a server requests again, one at a time until one is answered."""
        server.is_resting = False

    def pause_s(self, server: Server) -> float:
        """Return the seconds until an ejected server is checked."""
        return self._pause_s(server.ejections)

    def rest_s(self, server: Server, asked_s: float | None) -> float:
        """Return the seconds for which a busy server rests, by its Retry-After if it has one."""
        if asked_s is None:
            return self._pause_s(server.rests)
        return min(max(asked_s, _SHORTEST_REST_S), self.limits.max_return_after_s)

    def _pause_s(self, times: int) -> float:
        doubled = min(max(times - 1, 0), 30)  # beyond every limit, and far from overflowing
        return min(self.limits.max_return_after_s, self.limits.return_after_s * 2.0**doubled)

    def _room(self, server: Server) -> int:
        if not server.in_use or server is self._reserved:
            return 0
        return 1 if server.is_on_trial else min(server.limit, self.limits.max_in_flight)

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
