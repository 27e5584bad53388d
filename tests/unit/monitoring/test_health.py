"""Ready or not, and why."""

from dataclasses import replace

import pytest

from service.core.records import Partition
from service.delivery.status import PartitionStatus, ProcessorStatus
from service.inference.engine import EngineLoad
from service.kafka.fetch_refusals import Refusal
from service.monitoring.health import BROKER_SILENT_S, check, summary
from service.monitoring.sources import Sources
from service.runtime.nvml import GpuReading, GpuReadings
from testing.engine import PaintedEngine
from tests.unit.monitoring.parts import NOW_S, WORKING, api_alone, sources, with_stream

NO_GPU = GpuReadings((), absence="no driver")


def test_a_service_that_works_is_ready() -> None:
    checks = check(sources(), now_s=NOW_S)
    assert checks.ready
    assert checks.document() == {
        "ready": True,
        "checks": {"assigned": True, "engine": True, "broker": True, "draining": False},
    }


@pytest.mark.parametrize(
    ("status", "failed"),
    [
        (None, {"assigned", "broker"}),
        (replace(WORKING, stream=None), {"assigned", "broker"}),
        (with_stream(is_complete=False), {"assigned"}),
        (with_stream(brokers_answered_at_s=None), {"broker"}),
        (with_stream(brokers_answered_at_s=NOW_S - BROKER_SILENT_S), {"broker"}),
        (with_stream(brokers_answered_at_s=NOW_S - BROKER_SILENT_S + 1), set()),
        (replace(WORKING, is_draining=True), {"draining"}),
    ],
    ids=["not joined", "not open", "rebalancing", "never answered", "silent", "late", "draining"],
)
def test_what_is_missing_is_named(status: ProcessorStatus | None, failed: set[str]) -> None:
    checks = check(sources(status), now_s=NOW_S)
    good = {"assigned": True, "engine": True, "broker": True, "draining": False}
    assert {name for name in good if getattr(checks, name) != good[name]} == failed
    assert checks.ready == (not failed)


def test_a_model_that_loads_is_not_ready() -> None:
    checks = check(Sources(), now_s=NOW_S)
    assert not checks.engine
    assert not checks.ready


def test_a_model_whose_servers_are_all_away_is_not_ready() -> None:
    class AwayEngine(PaintedEngine):
        def load(self) -> EngineLoad:
            return EngineLoad(running=2, waiting=1, is_reachable=False)

    checks = check(replace(sources(), engine=AwayEngine()), now_s=NOW_S)
    assert not checks.engine
    assert checks.assigned


def test_people_see_what_the_service_is_doing() -> None:
    reported = summary(sources(), NO_GPU, version="1.2.3", uptime_s=61.04, now_s=NOW_S)
    assert reported | {"checks": None} == {
        "status": "ok",
        "warnings": [],
        "version": "1.2.3",
        "uptime_s": 61.0,
        "partitions": 2,
        "lag": 7,
        "in_flight": 3,
        "api": None,
        "engine": {"kind": "painted", "model": "painted"},
        "gpu_memory_used": None,
        "gpu_memory_total": None,
        "gpu_absence": "no driver",
        "checks": None,
    }


def test_an_api_without_a_stream_has_neither_partitions_nor_brokers() -> None:
    assert check(api_alone(), now_s=NOW_S).document() == {"ready": True, "checks": {"engine": True, "draining": False}}
    reported = summary(api_alone(), NO_GPU, version="1", uptime_s=0, now_s=NOW_S)
    assert [reported[name] for name in ("status", "partitions", "lag", "in_flight")] == ["ok", None, None, None]
    assert reported["api"] == {"in_work": 4, "waiting": 2}


def test_an_api_that_drains_is_not_ready_for_further_requests() -> None:
    assert not check(api_alone(is_draining=True), now_s=NOW_S).ready


def test_a_keys_file_that_is_refused_is_reported_although_the_service_is_ready() -> None:
    given = replace(api_alone(), access_warnings=lambda: ["api.keys_file is refused"])
    reported = summary(given, NO_GPU, version="1", uptime_s=0, now_s=NOW_S)
    assert (reported["status"], reported["warnings"]) == ("degraded", ["api.keys_file is refused"])


def test_a_first_pass_that_fails_is_reported_although_the_service_is_ready() -> None:
    given = replace(api_alone(), first_pass_warnings=lambda: ["engine.first_pass does not answer"])
    reported = summary(given, NO_GPU, version="1", uptime_s=0, now_s=NOW_S)
    assert (reported["status"], reported["warnings"]) == ("degraded", ["engine.first_pass does not answer"])


def test_a_transaction_that_hangs_is_reported_although_the_service_is_ready() -> None:
    held = PartitionStatus(Partition("t", 3), 0, 0, 0, unstable=51, unstable_since_s=NOW_S - 61)
    reported = summary(sources(with_stream(partitions=(held,))), NO_GPU, version="1", uptime_s=0, now_s=NOW_S)
    assert reported["status"] == "degraded"
    assert reported["warnings"] == ["t 3: an open transaction of a producer has held back 51 offsets for 61 s"]
    just_begun = replace(held, unstable_since_s=NOW_S - 59)
    reported = summary(sources(with_stream(partitions=(just_begun,))), NO_GPU, version="1", uptime_s=0, now_s=NOW_S)
    assert (reported["status"], reported["warnings"]) == ("ok", [])


def test_a_partition_that_brokers_refuse_is_reported_although_the_service_is_ready() -> None:
    refusal = Refusal("CorruptRecordException", since_s=NOW_S - 16, last_s=NOW_S, times=9, retry_at_s=NOW_S)
    refused = PartitionStatus(Partition("t", 3), 7, 7, 7, refusal=refusal)
    reported = summary(sources(with_stream(partitions=(refused,))), NO_GPU, version="1", uptime_s=0, now_s=NOW_S)
    assert reported["status"] == "degraded"
    assert "t 3: the brokers have refused to let it be read for 16 s (CorruptRecordException)" in str(
        reported["warnings"]
    )
    just_begun = replace(refused, refusal=refusal._replace(since_s=NOW_S - 14))
    reported = summary(sources(with_stream(partitions=(just_begun,))), NO_GPU, version="1", uptime_s=0, now_s=NOW_S)
    assert (reported["status"], reported["warnings"]) == ("ok", [])


def test_offsets_that_were_lost_are_reported_until_the_process_ends() -> None:
    reported = summary(sources(with_stream(offsets_lost=2)), NO_GPU, version="1", uptime_s=0, now_s=NOW_S)
    assert reported["status"] == "degraded"
    assert "2 times since the start a log did not fit" in str(reported["warnings"])


def test_the_memory_of_all_gpus_is_added_up() -> None:
    gpus = GpuReadings((GpuReading("0", 10, 80, 60, 0.5), GpuReading("1", 20, 80, None, None)))
    reported = summary(sources(), gpus, version="1", uptime_s=0, now_s=NOW_S)
    assert (reported["gpu_memory_used"], reported["gpu_memory_total"], reported["gpu_absence"]) == (30, 160, None)


@pytest.mark.parametrize(
    ("status", "given"),
    [
        ("starting", Sources()),
        ("starting", sources(replace(WORKING, stream=None))),
        ("not ready", sources(with_stream(is_complete=False))),
        ("draining", sources(replace(WORKING, is_draining=True))),
        ("starting", replace(Sources(), has_stream=False)),
        ("not ready", replace(api_alone(), engine=None)),
        ("draining", api_alone(is_draining=True)),
    ],
)
def test_the_status_is_one_word_for_where_the_service_is(status: str, given: Sources) -> None:
    assert summary(given, NO_GPU, version="1", uptime_s=0, now_s=NOW_S)["status"] == status
