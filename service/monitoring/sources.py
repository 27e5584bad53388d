"""The sources of gauges and health; each part of the service is set when it starts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from service.delivery.status import ProcessorStatus
from service.inference.engine import EngineDescription, EngineLoad
from service.media.sandbox import Confinement


class Engine(Protocol):
    """The part of an engine that monitoring reads."""

    def load(self) -> EngineLoad:
        """Return the running and waiting requests, and whether the engine can answer."""
        ...


class Decoder(Protocol):
    """The part of the decode pool that monitoring reads."""

    @property
    def waiting(self) -> int:
        """The number of images that wait for a decoder."""
        ...

    @property
    def process_ids(self) -> frozenset[int]:
        """The process ids of the present decoders."""
        ...

    @property
    def confinement(self) -> Confinement:
        """The confinement of the decoders."""
        ...


class Memory(Protocol):
    """The part of the image memory that monitoring reads."""

    @property
    def share(self) -> float:
        """The share of the image memory that is reserved, 0 to 1."""
        ...


@dataclass(slots=True)
class Sources:
    """The sources. Each is None until it exists; all may be read in any thread."""

    engine: Engine | None = None
    description: EngineDescription | None = None
    """Of the engine that has started and answered every policy."""
    decoder: Decoder | None = None
    memory: Memory | None = None
    processor: Callable[[], ProcessorStatus] | None = None

    def status(self) -> ProcessorStatus | None:
        """Return the status of the processor; None before it exists."""
        return self.processor() if self.processor else None
