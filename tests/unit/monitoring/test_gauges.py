"""Gauges: what a scrape sees of the parts of the service."""

from dataclasses import replace

from service.core.records import Partition
from service.delivery.status import PartitionStatus
from service.kafka.fetch_refusals import Refusal
from service.monitoring.gauges import Gauges
from service.monitoring.sources import Sources
from service.runtime.nvml import Gpus
from service.settings.monitoring import MonitoringSettings
from testing.metrics import Scrape, counting, scraped
from tests.unit.monitoring.parts import NOW_S, WORKING, api_alone, sources, with_stream
from tests.unit.runtime.fake_nvml import FakeNvml


def seen(given: Sources, *, settings: MonitoringSettings | None = None, nvml: FakeNvml | None = None) -> Scrape:
    gpus = Gpus(nvml=lambda: nvml or FakeNvml(gpus=0), environment={})
    with counting() as metrics:
        gauges = Gauges(
            given,
            gpus,
            settings or MonitoringSettings(),
            version="1.2.3",
            now_s=lambda: NOW_S,
            clock=lambda: NOW_S,
        )
        gauges.register(metrics.meter)
        return scraped(metrics)


def test_gauges_report_what_the_parts_say() -> None:
    scrape = seen(sources())
    assert scrape.value("modstream_in_flight") == 3
    assert scrape.value("modstream_oldest_age_seconds") == 10
    shares = {bound: scrape.value("modstream_window_occupancy", bound=bound) for bound in ("records", "bytes", "span")}
    assert shares == {"records": 0.5, "bytes": 0.1, "span": 0.25}
    assert scrape.value("modstream_lag", topic="images.uploaded", partition="0") == 7
    assert scrape.value("modstream_lag_committed", partition="0") == 9
    assert scrape.value("modstream_backlog", partition="0") == 4
    assert scrape.of("modstream_lag", partition="1")[0].value == 0
    assert scrape.value("modstream_partitions") == 2
    assert scrape.value("modstream_engine_requests", state="running") == 2
    assert scrape.value("modstream_engine_requests", state="waiting") == 1
    assert scrape.value("modstream_decode_queue") == 5
    assert scrape.value("modstream_decode_workers") == 2
    assert scrape.value("modstream_decode_confinement", mechanism="landlock") == 0
    assert scrape.value("modstream_decode_confinement", mechanism="seccomp") == 1
    assert scrape.value("modstream_ready") == 1
    assert scrape.value("modstream_info", version="1.2.3", engine="painted", model="painted") == 1


def test_what_open_transactions_hold_back_is_reported() -> None:
    held = PartitionStatus(Partition("t", 3), 0, 0, 0, unstable=51, unstable_since_s=NOW_S - 61)
    scrape = seen(sources(with_stream(partitions=(held,))))
    assert scrape.value("modstream_unstable", topic="t", partition="3") == 51
    assert scrape.value("modstream_transaction_age_seconds", topic="t", partition="3") == 61
    assert seen(sources()).of("modstream_transaction_age_seconds", partition="1")[0].value == 0


def test_how_long_brokers_have_refused_a_partition_is_reported() -> None:
    refusal = Refusal("CorruptRecordException", since_s=NOW_S - 61, last_s=NOW_S, times=9, retry_at_s=NOW_S)
    refused = PartitionStatus(Partition("t", 3), 0, 0, 0, refusal=refusal)
    scrape = seen(sources(with_stream(partitions=(refused,))))
    assert scrape.value("modstream_partition_refused_age_seconds", topic="t", partition="3") == 61
    assert seen(sources()).of("modstream_partition_refused_age_seconds", partition="1")[0].value == 0


def test_the_images_of_requests_and_faults_of_the_keys_are_reported() -> None:
    scrape = seen(replace(api_alone(), access_warnings=lambda: ["api.keys_file is refused"]))
    assert scrape.value("modstream_api_images", state="running") == 4
    assert scrape.value("modstream_api_images", state="waiting") == 2
    assert scrape.value("modstream_api_access_warnings") == 1


def test_what_is_not_there_yet_has_no_value() -> None:
    names = {name for name in seen(Sources()).names if name.startswith("modstream")}
    assert names == {"modstream_ready"}


def test_an_idle_window_has_nothing_old() -> None:
    idle = sources(replace(WORKING, oldest_ms=None))
    assert seen(idle).value("modstream_oldest_age_seconds") == 0


def test_clocks_that_disagree_make_nothing_younger_than_now() -> None:
    future = sources(replace(WORKING, oldest_ms=2_000_000))
    assert seen(future).value("modstream_oldest_age_seconds") == 0


def test_a_price_is_reported_when_it_is_set() -> None:
    assert seen(sources()).of("modstream_machine_price") == []
    priced = MonitoringSettings(machine_price=2.5, currency="EUR")
    assert seen(sources(), settings=priced).value("modstream_machine_price", currency="EUR") == 2.5


def test_gpus_are_reported_one_by_one() -> None:
    scrape = seen(sources(), nvml=FakeNvml(gpus=2))
    assert scrape.value("modstream_gpu_memory_used_bytes", gpu="1") == 20 * 2**30
    assert scrape.value("modstream_gpu_memory_total_bytes", gpu="1") == 80 * 2**30
    assert scrape.value("modstream_gpu_temperature_celsius", gpu="0") == 60
    assert scrape.value("modstream_gpu_utilization", gpu="0") == 0.75
