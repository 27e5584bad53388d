"""The figures of `modstream top`, for all processes together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.tools.top.arithmetic import ScrapeInterval, maxima, quantiles, rates, sums


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """The figures of one process."""

    url: str
    is_ready: bool
    version: str
    engine: str
    model: str
    partitions: int | None
    """None in a process that serves the HTTP API alone."""


@dataclass(frozen=True, slots=True)
class PartitionFigures:
    """The waiting records of one partition."""

    topic: str
    partition: int
    lag: int
    """Without a committed outcome."""
    on_broker: int
    """Of those, not yet received."""
    committed_lag: int
    """As Kafka's own tools count."""


@dataclass(frozen=True, slots=True)
class StageFigures:
    """The rate and the times of one stage."""

    stage: str
    a_second: float
    p50_s: float
    p99_s: float


@dataclass(frozen=True, slots=True)
class RouteFigures:
    """The rate and the times of one route of the HTTP API."""

    route: str
    a_second: float
    p50_s: float
    p99_s: float


@dataclass(frozen=True, slots=True)
class ApiFigures:
    """The requests of the HTTP API, without those for /health."""

    a_second: float
    failed: float
    """Of those, answered with 5xx."""
    refused: float
    """Of those, answered 429."""
    running: int
    """Images in work."""
    waiting: int
    """Images that wait for a place."""
    routes: tuple[RouteFigures, ...]


@dataclass(frozen=True, slots=True)
class ReasonFigures:
    """Failures a second with one reason."""

    reason: str
    failed_attempts: float
    put_off: float
    dead_letters: float
    failed_requests: float
    """Of the HTTP API."""


@dataclass(frozen=True, slots=True)
class GpuFigures:
    """The readings of one GPU of one process."""

    gpu: str
    memory_used_bytes: float
    memory_total_bytes: float
    temperature_c: float
    utilization: float


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """The requests in the engine, and the decoders that feed it."""

    running: int
    waiting: int
    tokens_a_second: Mapping[str, float]
    decode_queue: int
    decode_workers: int


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of one frame."""

    over_s: float
    """Rates are computed over this time; 0 at the first scrape."""
    processes: tuple[ProcessFigures, ...]
    unreadable: Mapping[str, str]
    """Addresses that gave nothing, with the reason."""
    a_second: Mapping[str, float]
    """Records by outcome."""
    lag: int
    partitions: tuple[PartitionFigures, ...]
    in_flight: int
    oldest_age_s: float
    occupancy: Mapping[str, float]
    """Of the fullest window, by bound, 0 to 1."""
    stages: tuple[StageFigures, ...]
    engine: EngineFigures
    api: ApiFigures | None
    """None where no process serves the HTTP API."""
    reasons: tuple[ReasonFigures, ...]
    gpus: tuple[GpuFigures, ...]


_HEALTH = "/health"
"""Asked by probes, and no work."""
_TOO_MANY = "429"

_COUNTERS_OF_REASONS = (
    "modstream_attempts_failed_total",
    "modstream_records_total",
    "modstream_api_requests_total",
)

# In the order in which an image passes them.
STAGES = ("wait", "fetch", "decode", "engine", "decide", "explain")


def figures(stretches: Mapping[str, ScrapeInterval], unreadable: Mapping[str, str]) -> Figures:
    """Return the figures from the scrapes of each address."""
    all_of_them = tuple(stretches.values())
    partitions = _partitions(all_of_them)
    return Figures(
        over_s=max((stretch.seconds for stretch in all_of_them), default=0.0),
        processes=tuple(_process(url, stretch) for url, stretch in stretches.items()),
        unreadable=unreadable,
        a_second={key[0]: rate for key, rate in rates(all_of_them, "modstream_records_total", "outcome").items()},
        lag=sum(partition.lag for partition in partitions),
        partitions=partitions,
        in_flight=_whole(sums(all_of_them, "modstream_in_flight")),
        oldest_age_s=maxima(all_of_them, "modstream_oldest_age_seconds").get((), 0.0),
        occupancy={key[0]: share for key, share in maxima(all_of_them, "modstream_window_occupancy", "bound").items()},
        stages=_stages(all_of_them),
        engine=_engine(all_of_them),
        api=_api(all_of_them),
        reasons=_reasons(all_of_them),
        gpus=tuple(gpu for stretch in all_of_them for gpu in _gpus(stretch)),
    )


def _process(url: str, stretch: ScrapeInterval) -> ProcessFigures:
    info = next(iter(stretch.now.of("modstream_info")), None)
    labels = info.labels if info else {}
    return ProcessFigures(
        url=url,
        is_ready=_whole(sums([stretch], "modstream_ready")) == 1,
        version=labels.get("version", ""),
        engine=labels.get("engine", ""),
        model=labels.get("model", ""),
        partitions=None if _serves_api_alone(stretch) else _whole(sums([stretch], "modstream_partitions")),
    )


def _serves_api_alone(stretch: ScrapeInterval) -> bool:
    return bool(stretch.now.of("modstream_api_images")) and not stretch.now.of("modstream_in_flight")


def _partitions(stretches: Sequence[ScrapeInterval]) -> tuple[PartitionFigures, ...]:
    """Return partitions with the longest lag first; while one moves, two processes may report it."""
    lag, backlog, committed = (
        maxima(stretches, name, "topic", "partition")
        for name in ("modstream_lag", "modstream_backlog", "modstream_lag_committed")
    )
    found = [
        PartitionFigures(
            topic=key[0],
            partition=int(key[1]),
            lag=round(waiting),
            on_broker=round(backlog.get(key, 0.0)),
            committed_lag=round(committed.get(key, 0.0)),
        )
        for key, waiting in lag.items()
    ]
    return tuple(sorted(found, key=lambda each: (-each.lag, each.topic, each.partition)))


def _stages(stretches: Sequence[ScrapeInterval]) -> tuple[StageFigures, ...]:
    histogram = "modstream_stage_duration_seconds"
    pace = rates(stretches, f"{histogram}_count", "stage")
    times = quantiles(stretches, histogram, "stage", (0.5, 0.99))
    return tuple(StageFigures(stage, pace.get((stage,), 0.0), *times[stage]) for stage in STAGES if stage in times)


def _engine(stretches: Sequence[ScrapeInterval]) -> EngineFigures:
    requests = sums(stretches, "modstream_engine_requests", "state")
    tokens = rates(stretches, "modstream_engine_tokens_total", "kind")
    return EngineFigures(
        running=round(requests.get(("running",), 0.0)),
        waiting=round(requests.get(("waiting",), 0.0)),
        tokens_a_second={key[0]: rate for key, rate in tokens.items()},
        decode_queue=_whole(sums(stretches, "modstream_decode_queue")),
        decode_workers=_whole(sums(stretches, "modstream_decode_workers")),
    )


def _api(stretches: Sequence[ScrapeInterval]) -> ApiFigures | None:
    images = sums(stretches, "modstream_api_images", "state")
    if not images:
        return None
    requests = rates(stretches, "modstream_api_requests_total", "route", "code")
    answered = {(route, code): rate for (route, code), rate in requests.items() if route != _HEALTH}
    return ApiFigures(
        a_second=sum(answered.values()),
        failed=sum(rate for (_, code), rate in answered.items() if code.startswith("5")),
        refused=sum(rate for (_, code), rate in answered.items() if code == _TOO_MANY),
        running=round(images.get(("running",), 0.0)),
        waiting=round(images.get(("waiting",), 0.0)),
        routes=_routes(stretches),
    )


def _routes(stretches: Sequence[ScrapeInterval]) -> tuple[RouteFigures, ...]:
    histogram = "modstream_api_duration_seconds"
    pace = rates(stretches, f"{histogram}_count", "route")
    times = quantiles(stretches, histogram, "route", (0.5, 0.99))
    found = [RouteFigures(route, pace.get((route,), 0.0), *both) for route, both in times.items() if route != _HEALTH]
    # Few are shown: the page's files must not hide the routes of programs while nothing is asked.
    return tuple(sorted(found, key=lambda each: (-each.a_second, not each.route.startswith("/v1/"), each.route)))


def _reasons(stretches: Sequence[ScrapeInterval]) -> tuple[ReasonFigures, ...]:
    """Return every reason that was met since the start, the busiest first."""
    attempts = rates(stretches, "modstream_attempts_failed_total", "reason")
    records = rates(stretches, "modstream_records_total", "reason", "outcome")
    requests = rates(stretches, "modstream_api_requests_total", "reason")
    names = set().union(*(_met(stretches, counter) for counter in _COUNTERS_OF_REASONS))
    found = [
        ReasonFigures(
            reason=name,
            failed_attempts=attempts.get((name,), 0.0),
            put_off=records.get((name, "put_off"), 0.0),
            dead_letters=records.get((name, "dead_lettered"), 0.0),
            failed_requests=requests.get((name,), 0.0),
        )
        for name in names
    ]
    busiest = sorted(
        found, key=lambda each: (-each.dead_letters, -each.failed_requests, -each.failed_attempts, each.reason)
    )
    return tuple(busiest)


def _met(stretches: Sequence[ScrapeInterval], counter: str) -> set[str]:
    """Leave out those that stand at 0: counters begin there for every reason that there is."""
    return {key[0] for key, count in sums(stretches, counter, "reason").items() if count > 0 and key[0]}


def _gpus(stretch: ScrapeInterval) -> tuple[GpuFigures, ...]:
    used, total, temperature, utilization = (
        sums([stretch], f"modstream_gpu_{name}", "gpu")
        for name in ("memory_used_bytes", "memory_total_bytes", "temperature_celsius", "utilization")
    )
    return tuple(
        GpuFigures(key[0], used[key], total.get(key, 0.0), temperature.get(key, 0.0), utilization.get(key, 0.0))
        for key in sorted(used)
    )


def _whole(found: Mapping[tuple[str, ...], float]) -> int:
    return round(found.get((), 0.0))
