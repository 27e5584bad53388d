"""Pure: readiness and a summary for operators, from the states of the service's parts."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.delivery.status import PartitionStatus, StreamStatus
from service.monitoring.sources import Sources
from service.runtime.nvml import GpuReadings

BROKER_SILENT_S = 10.0
"""The brokers are asked every 3 s: three answers in a row are missing then."""


TRANSACTION_HANGS_S = 60.0
"""Producers' transactions end by themselves after `transaction.timeout.ms`, 60 s by default."""


PARTITION_REFUSED_S = 15.0
"""A leader's election and a broker's start are over by then."""


@dataclass(frozen=True, slots=True)
class Checks:
    """The checks of readiness."""

    assigned: bool | None
    """The group has given this process its share of the partitions, and all of them are open; None without a stream."""
    engine: bool
    """It has started, can answer every policy and is reachable; one that fails ends the process by a drain."""
    broker: bool | None
    """It has answered within the last seconds; None without a stream."""
    draining: bool
    """The process takes nothing in any more."""

    @property
    def ready(self) -> bool:
        """Whether the process takes in and judges records, or requests."""
        return self.assigned is not False and self.engine and self.broker is not False and not self.draining

    def document(self) -> Mapping[str, object]:
        """Return the response of /health/ready, without checks that do not apply."""
        checks = {
            "assigned": self.assigned,
            "engine": self.engine,
            "broker": self.broker,
            "draining": self.draining,
        }
        return {"ready": self.ready, "checks": {name: value for name, value in checks.items() if value is not None}}


def check(sources: Sources, *, now_s: float) -> Checks:
    """Evaluate all checks; `now_s` is by `time.monotonic`."""
    status, places = sources.status(), sources.places
    stream = status.stream if status else None
    answered_at_s = stream.brokers_answered_at_s if stream else None
    answered = answered_at_s is not None and now_s - answered_at_s < BROKER_SILENT_S
    return Checks(
        assigned=(stream is not None and stream.is_complete) if sources.has_stream else None,
        engine=sources.description is not None and sources.engine is not None and sources.engine.load().is_reachable,
        broker=answered if sources.has_stream else None,
        draining=(status is not None and status.is_draining) or (places is not None and places.is_draining),
    )


def summary(sources: Sources, gpus: GpuReadings, *, version: str, uptime_s: float, now_s: float) -> dict[str, object]:
    """Return the response of /health."""
    status, checks = sources.status(), check(sources, now_s=now_s)
    stream = status.stream if status else None
    engine = sources.description
    warnings = _warnings(stream, now_s=now_s) + sources.access_warnings()
    warnings += sources.first_pass_warnings() + sources.shadow_warnings()
    warnings += sources.policies.warnings() if sources.policies else []
    return {
        "status": _status(checks, sources, warnings),
        "warnings": warnings,
        "version": version,
        "uptime_s": round(uptime_s, 1),
        **_work(sources),
        "engine": {"kind": engine.kind, "model": engine.model_name} if engine else None,
        "gpu_memory_used": sum(gpu.memory_used_bytes for gpu in gpus.gpus) if gpus.gpus else None,
        "gpu_memory_total": sum(gpu.memory_total_bytes for gpu in gpus.gpus) if gpus.gpus else None,
        "gpu_absence": gpus.absence,
        "checks": checks.document()["checks"],
    }


def _work(sources: Sources) -> dict[str, object]:
    """Return what is in hand; None for what the process does not serve."""
    status, places = sources.status(), sources.places
    stream = status.stream if status else None
    idle = 0 if sources.has_stream else None
    return {
        "partitions": stream.open_partitions if stream else idle,
        "lag": sum(partition.lag for partition in stream.partitions) if stream else None,
        "in_flight": status.in_flight if status else idle,
        "api": {"in_work": places.in_work, "waiting": places.waiting} if places is not None else None,
    }


def transaction_age_s(partition: PartitionStatus, *, now_s: float) -> float:
    """Return the seconds for which a partition's oldest open transaction has held records back, 0 without one."""
    return max(now_s - partition.unstable_since_s, 0.0) if partition.unstable_since_s is not None else 0.0


def refused_for_s(partition: PartitionStatus, *, now_s: float) -> float:
    """Return the seconds for which brokers have denied reading a partition, 0 while it can be read."""
    return max(now_s - partition.refusal.since_s, 0.0) if partition.refusal is not None else 0.0


def _warnings(stream: StreamStatus | None, *, now_s: float) -> list[str]:
    """Say what is wrong with the logs: the service works, and an operator has to act."""
    if stream is None:
        return []
    found = [
        f"{each.partition.topic} {each.partition.partition}: an open transaction of a producer has held back "
        f"{each.unstable} offsets for {age_s:.0f} s"
        for each in stream.partitions
        if (age_s := transaction_age_s(each, now_s=now_s)) > TRANSACTION_HANGS_S
    ]
    found += [
        f"{each.partition.topic} {each.partition.partition}: the brokers have refused to let it be read for "
        f"{age_s:.0f} s ({each.refusal.error}): see partition.refused in the log"
        for each in stream.partitions
        if each.refusal is not None and (age_s := refused_for_s(each, now_s=now_s)) > PARTITION_REFUSED_S
    ]
    if stream.offsets_lost:
        found.append(
            f"{stream.offsets_lost} times since the start a log did not fit the group's offset and was read on as "
            "kafka.on_lost_offsets says: see partition.offsets_lost in the log"
        )
    return found


def _status(checks: Checks, sources: Sources, warnings: list[str]) -> str:
    if checks.draining:
        return "draining"
    if checks.ready:
        return "degraded" if warnings else "ok"
    return "not ready" if _has_begun(sources) else "starting"


def _has_begun(sources: Sources) -> bool:
    """Return whether the process has joined its group, or opened the API that it serves alone."""
    status = sources.status()
    return status is not None and status.stream is not None if sources.has_stream else sources.places is not None
