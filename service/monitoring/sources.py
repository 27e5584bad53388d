"""Where gauges and health read; the parts of the service are handed over as they come to life."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from service.delivery.status import ProcessorStatus
from service.inference.engine import EngineDescription, EngineLoad
from service.media.sandbox import Confinement


class Engine(Protocol):
    """What is read of an engine."""

    def load(self) -> EngineLoad:
        """Return what runs and what waits, and whether anything could answer."""
        ...


class Decoder(Protocol):
    """What is read of the decoders."""

    @property
    def waiting(self) -> int:
        """Images that wait for a process."""
        ...

    @property
    def process_ids(self) -> frozenset[int]:
        """The processes that are there."""
        ...

    @property
    def confinement(self) -> Confinement:
        """What holds all of them."""
        ...


class Memory(Protocol):
    """What is read of the memory for images."""

    @property
    def share(self) -> float:
        """Share of it that is reserved, 0 to 1."""
        ...


@dataclass(slots=True)
class Sources:
    """Each is None until it is there; all may be read in any thread."""

    engine: Engine | None = None
    description: EngineDescription | None = None
    """Of the engine that has started and answered every policy."""
    decoder: Decoder | None = None
    memory: Memory | None = None
    processor: Callable[[], ProcessorStatus] | None = None

    def status(self) -> ProcessorStatus | None:
        """Return what the processor is doing; None before there is one."""
        return self.processor() if self.processor else None
