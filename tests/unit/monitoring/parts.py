"""Sources for tests: a service in whatever state a test wants."""

from dataclasses import dataclass, field, replace

from service.core.records import Partition
from service.delivery.status import PartitionStatus, ProcessorStatus, StreamStatus
from service.inference.engine import EngineLoad
from service.media.sandbox import Confinement
from service.monitoring.sources import Sources
from testing.engine import PaintedEngine
from testing.vision import INSTRUCTIONS

NOW_S = 1000.0

STREAM = StreamStatus(
    is_complete=True,
    open_partitions=2,
    partitions=(
        PartitionStatus(Partition("images.uploaded", 0), lag=7, committed_lag=9, backlog=4),
        PartitionStatus(Partition("images.uploaded", 1), lag=0, committed_lag=0, backlog=0),
    ),
    span_share=0.25,
    brokers_answered_at_s=NOW_S - 1,
)
WORKING = ProcessorStatus(
    in_flight=3,
    records_share=0.5,
    slots_share=0.9,
    bytes_share=0.1,
    oldest_ms=990_000,
    is_draining=False,
    stream=STREAM,
)


@dataclass(frozen=True)
class Decoders:
    """Two processes, and five images that wait."""

    waiting: int = 5
    process_ids: frozenset[int] = frozenset({11, 12})
    confinement: Confinement = field(default=Confinement(landlock_abi=0, has_seccomp=True))


@dataclass(frozen=True)
class BusyPlaces:
    """Four images of requests in work, and two that wait."""

    in_work: int = 4
    waiting: int = 2
    is_draining: bool = False


class BusyEngine(PaintedEngine):
    """Has something to do."""

    def load(self) -> EngineLoad:
        """Two run, one waits."""
        return EngineLoad(running=2, waiting=1)


def sources(status: ProcessorStatus | None = WORKING) -> Sources:
    """Return the sources of a service that has started."""
    engine = BusyEngine()
    return Sources(
        engine=engine,
        description=engine.describe(INSTRUCTIONS),
        decoder=Decoders(),
        processor=None if status is None else lambda: status,
    )


def api_alone(*, is_draining: bool = False) -> Sources:
    """Return the sources of `modstream api`: no stream."""
    return replace(sources(None), has_stream=False, places=BusyPlaces(is_draining=is_draining))


def with_stream(**changes: object) -> ProcessorStatus:
    """Return the status of a service whose stream differs."""
    return replace(WORKING, stream=replace(STREAM, **changes))  # type: ignore[arg-type]  # the test names the fields
