"""The sources of gauges and health; each part of the service is set when it starts."""

from collections.abc import Callable, Sequence
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


class Places(Protocol):
    """The part of the HTTP API that monitoring reads."""

    @property
    def in_work(self) -> int:
        """The number of images that have a place."""
        ...

    @property
    def waiting(self) -> int:
        """The number of images that wait for one."""
        ...

    @property
    def is_draining(self) -> bool:
        """Whether further images are refused, because the process ends."""
        ...


class Policies(Protocol):
    """The part of the policies in force that monitoring reads."""

    @property
    def is_refused(self) -> bool:
        """Whether the present files cannot be used, so that the policies before them stay in force."""
        ...

    @property
    def read_at_s(self) -> float:
        """When the policies in force were read, by `time.monotonic`."""
        ...

    def identities(self) -> Sequence[tuple[str, str, str]]:
        """Return name, version and hash of each policy in force."""
        ...

    def warnings(self) -> list[str]:
        """Return what is wrong with the present files."""
        ...


@dataclass(slots=True)
class Sources:
    """The sources. Each is None until it exists; all may be read in any thread."""

    engine: Engine | None = None
    description: EngineDescription | None = None
    """Of the engine that has started and answered every policy."""
    decoder: Decoder | None = None
    memory: Memory | None = None
    policies: Policies | None = None
    places: Places | None = None
    access_warnings: Callable[[], list[str]] = list
    """Returns what is wrong with the keys file and the identity provider of the HTTP API."""
    first_pass_warnings: Callable[[], list[str]] = list
    """Returns what keeps the smaller engine of first passes from work."""
    shadow_warnings: Callable[[], list[str]] = list
    """Returns what keeps shadows from work."""
    processor: Callable[[], ProcessorStatus] | None = None
    has_stream: bool = True
    """False where only the HTTP API is served: there are no partitions and no brokers then."""

    def status(self) -> ProcessorStatus | None:
        """Return the status of the processor; None before it exists."""
        return self.processor() if self.processor else None
