"""What the processor is doing, for gauges and health: a snapshot, safe to be read in another thread."""

from dataclasses import dataclass

from service.stream.standing import StreamStanding


@dataclass(frozen=True, slots=True)
class Standing:
    """At one moment."""

    in_flight: int
    records_share: float
    """How much of the window's bound on records is taken, 0 to 1."""
    slots_share: float
    """How many of the work slots are occupied, 0 to 1."""
    bytes_share: float
    """How much of its bound on the bytes of events is taken, 0 to 1."""
    oldest_ms: int | None
    """Kafka timestamp of the oldest record without a committed outcome; None when there is none."""
    is_draining: bool
    stream: StreamStanding | None
    """None before the group is joined and after it is left."""
