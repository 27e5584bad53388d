"""What one connection of a client may take, and what all of them may hold together. Pure."""

from dataclasses import dataclass

from service.api.judging.batch_models import BATCH_PATH
from service.settings.api import ApiSettings

# Request line and headers: tokens of identity providers have a few KiB. Most servers take 8 to 32 KiB.
MAX_HEAD_BYTES = 32 * 1024
MAX_HEADERS = 100


@dataclass(frozen=True)
class ConnectionLimits:
    """Bounds of a connection. Times run only while the service reads, not while it holds the client back."""

    max_body_bytes: int
    body_timeout_s: float
    """For a whole body that is no batch."""
    handshake_timeout_s: float = 10.0
    """For TLS; a client on a bad line needs four round trips of a second each."""
    head_timeout_s: float = 10.0
    """From the first byte of a request to the end of its headers."""
    idle_timeout_s: float = 75.0
    """Without a request; above the 60 s of most load balancers, which must be the ones that close."""
    min_bytes_per_s: int = 1024
    """Of bodies and of answers that wait for their client, as `media.fetch.min_bytes_per_s` asks of servers."""
    body_window_s: float = 5.0
    answer_window_s: float = 30.0
    """Systems take what was received from their buffers in lumps, so it is longer."""
    linger_s: float = 5.0
    """For what a refused client still sends: an answer is lost when its connection is closed with bytes unread."""
    unbounded_paths: frozenset[str] = frozenset()
    """Routes that read the body while they answer, and bound its size and pace themselves."""


def limits_of(settings: ApiSettings) -> ConnectionLimits:
    """Return the limits that the settings ask for."""
    return ConnectionLimits(
        max_body_bytes=settings.max_body_bytes,
        body_timeout_s=settings.timeout_s,
        unbounded_paths=frozenset({BATCH_PATH}),
    )


class HeldBytes:
    """Bodies of all requests together, from their arrival to the end of their handlers."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.bytes = 0

    def has_room(self, size_bytes: int) -> bool:
        """Return whether so much more may be held."""
        return self.bytes + size_bytes <= self._limit_bytes

    def holder(self) -> "Holder":
        """Return the account of one request."""
        return Holder(self)


class Holder:
    """What one request holds."""

    __slots__ = ("_held", "_own_bytes")

    def __init__(self, held: HeldBytes) -> None:
        self._held = held
        self._own_bytes = 0

    def hold(self, size_bytes: int) -> bool:
        """Hold so many bytes instead of those before; returns False, and changes nothing, if there is no room."""
        more_bytes = size_bytes - self._own_bytes
        if more_bytes > 0 and not self._held.has_room(more_bytes):
            return False
        self._held.bytes += more_bytes
        self._own_bytes = size_bytes
        return True

    def give_back(self, *_: object) -> None:
        """Hold nothing any more; takes any arguments, as a callback."""
        self.hold(0)
