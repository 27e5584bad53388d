"""Gauges, which a reader of metrics reads in its own thread."""

import time
from collections.abc import Callable, Iterable

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from service.delivery.status import PartitionStatus, StreamStatus
from service.monitoring.health import check, refused_for_s, transaction_age_s
from service.monitoring.sources import Sources
from service.runtime.nvml import GpuReading, Gpus
from service.settings.monitoring import MonitoringSettings
from service.telemetry import instruments, labels
from service.telemetry.aggregation import Declaration

Reading = tuple[float, dict[str, str]]
Read = Callable[[], Iterable[Reading]]


class Gauges:
    """Reads the sources. A gauge whose source does not exist yet has no value."""

    def __init__(
        self,
        sources: Sources,
        gpus: Gpus,
        settings: MonitoringSettings,
        *,
        version: str,
        now_s: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources = sources
        self._gpus = gpus
        self._settings = settings
        self._version = version
        self._now_s = now_s
        self._clock = clock

    def register(self, meter: Meter) -> None:
        """Register all gauges with a meter."""
        for declaration, read in self._reads().items():
            callback = _callback(read)
            meter.create_observable_gauge(declaration.name, [callback], declaration.unit, declaration.description)

    def _reads(self) -> dict[Declaration, Read]:
        return {
            instruments.IN_FLIGHT: self._in_flight,
            instruments.WINDOW_OCCUPANCY: self._window_occupancy,
            instruments.BACKLOG: lambda: self._by_partition(lambda partition: partition.backlog),
            instruments.LAG: lambda: self._by_partition(lambda partition: partition.lag),
            instruments.LAG_COMMITTED: lambda: self._by_partition(lambda partition: partition.committed_lag),
            instruments.UNSTABLE: lambda: self._by_partition(lambda partition: partition.unstable),
            instruments.TRANSACTION_AGE: lambda: self._by_partition(
                lambda partition: transaction_age_s(partition, now_s=self._clock())
            ),
            instruments.REFUSED_AGE: lambda: self._by_partition(
                lambda partition: refused_for_s(partition, now_s=self._clock())
            ),
            instruments.PARTITIONS: self._partitions,
            instruments.OLDEST_AGE: self._oldest_age,
            instruments.API_IMAGES: self._api_images,
            instruments.API_ACCESS_WARNINGS: self._api_access_warnings,
            instruments.POLICY_INFO: self._policy_info,
            instruments.POLICY_AGE: self._policy_age,
            instruments.POLICY_REFUSED: self._policy_refused,
            instruments.ENGINE_REQUESTS: self._engine_requests,
            instruments.ENGINE_REACHABLE: self._engine_reachable,
            instruments.DECODE_QUEUE: self._decode_queue,
            instruments.DECODE_WORKERS: self._decode_workers,
            instruments.DECODE_CONFINEMENT: self._decode_confinement,
            instruments.GPU_MEMORY_USED: lambda: self._by_gpu(lambda gpu: gpu.memory_used_bytes),
            instruments.GPU_MEMORY_TOTAL: lambda: self._by_gpu(lambda gpu: gpu.memory_total_bytes),
            instruments.GPU_TEMPERATURE: lambda: self._by_gpu(lambda gpu: gpu.temperature_c),
            instruments.GPU_UTILIZATION: lambda: self._by_gpu(lambda gpu: gpu.utilization),
            instruments.READY: self._ready,
            instruments.INFO: self._info,
            instruments.MACHINE_PRICE: self._machine_price,
        }

    @property
    def _stream(self) -> StreamStatus | None:
        status = self._sources.status()
        return status.stream if status else None

    def _in_flight(self) -> Iterable[Reading]:
        if status := self._sources.status():
            yield status.in_flight, {}

    def _window_occupancy(self) -> Iterable[Reading]:
        if status := self._sources.status():
            yield status.records_share, {labels.BOUND: "records"}
            yield status.slots_share, {labels.BOUND: "slots"}
            yield status.bytes_share, {labels.BOUND: "bytes"}
            yield status.stream.span_share if status.stream else 0.0, {labels.BOUND: "span"}
        if memory := self._sources.memory:
            yield memory.share, {labels.BOUND: "images"}

    def _by_partition(self, figure: Callable[[PartitionStatus], float]) -> Iterable[Reading]:
        for status in self._stream.partitions if self._stream else ():
            topic, partition = status.partition
            yield figure(status), {labels.TOPIC: topic, labels.PARTITION: str(partition)}

    def _partitions(self) -> Iterable[Reading]:
        if stream := self._stream:
            yield stream.open_partitions, {}

    def _oldest_age(self) -> Iterable[Reading]:
        if status := self._sources.status():
            yield max(self._now_s() - status.oldest_ms / 1000, 0.0) if status.oldest_ms is not None else 0.0, {}

    def _api_images(self) -> Iterable[Reading]:
        if places := self._sources.places:
            yield places.in_work, {labels.STATE: "running"}
            yield places.waiting, {labels.STATE: "waiting"}

    def _api_access_warnings(self) -> Iterable[Reading]:
        if self._sources.places is not None:
            yield len(self._sources.access_warnings()), {}

    def _policy_info(self) -> Iterable[Reading]:
        for name, rules_version, rules_hash in self._sources.policies.identities() if self._sources.policies else ():
            yield 1, {labels.POLICY: name, labels.VERSION: rules_version, labels.HASH: rules_hash}

    def _policy_age(self) -> Iterable[Reading]:
        if policies := self._sources.policies:
            yield max(self._clock() - policies.read_at_s, 0.0), {}

    def _policy_refused(self) -> Iterable[Reading]:
        if policies := self._sources.policies:
            yield int(policies.is_refused), {}

    def _engine_requests(self) -> Iterable[Reading]:
        if engine := self._sources.engine:
            load = engine.load()
            yield load.running, {labels.STATE: "running"}
            yield load.waiting, {labels.STATE: "waiting"}

    def _engine_reachable(self) -> Iterable[Reading]:
        if engine := self._sources.engine:
            yield int(engine.load().is_reachable), {}

    def _decode_queue(self) -> Iterable[Reading]:
        if decoder := self._sources.decoder:
            yield decoder.waiting, {}

    def _decode_workers(self) -> Iterable[Reading]:
        if decoder := self._sources.decoder:
            yield len(decoder.process_ids), {}

    def _decode_confinement(self) -> Iterable[Reading]:
        if decoder := self._sources.decoder:
            missing = decoder.confinement.missing
            for mechanism in labels.MECHANISMS:
                yield int(mechanism not in missing), {labels.MECHANISM: mechanism}

    def _by_gpu(self, figure: Callable[[GpuReading], float | None]) -> Iterable[Reading]:
        for gpu in self._gpus.read().gpus:
            if (value := figure(gpu)) is not None:
                yield value, {labels.GPU: gpu.gpu}

    def _ready(self) -> Iterable[Reading]:
        yield int(check(self._sources, now_s=self._clock()).ready), {}

    def _info(self) -> Iterable[Reading]:
        if engine := self._sources.description:
            yield 1, {labels.VERSION: self._version, labels.ENGINE: engine.kind, labels.MODEL: engine.model_name}

    def _machine_price(self) -> Iterable[Reading]:
        if self._settings.machine_price:
            yield self._settings.machine_price, {labels.CURRENCY: self._settings.currency}


def _callback(read: Read) -> Callable[[CallbackOptions], Iterable[Observation]]:
    return lambda _: [Observation(value, labels) for value, labels in read()]
