"""What is counted of records once their outcomes are committed."""

from service.core.records import OutgoingRecord
from service.delivery.handler import Job
from service.delivery.metrics import OutcomeMetrics
from service.delivery.resolution import Resolution
from testing.handlers import BusyError, WrongError, committed, running, verdict
from testing.memory_stream import MemoryStream, record
from testing.metrics import counting, scraped

NOW_S = 1000.0


def result() -> OutcomeMetrics:
    return OutcomeMetrics(now_s=lambda: NOW_S)


def test_records_are_counted_by_what_came_of_them_and_why() -> None:
    judged, corrupt = Resolution((), 0), Resolution((), 0, "dead_lettered", "image.corrupt")
    with counting() as metrics:
        counted = result()
        counted.committed([judged, judged, corrupt, Resolution((), 0, "put_off", "fetch.failed")])
        series = scraped(metrics).of("modstream_records_total")
    assert {(each.labels["outcome"], each.labels["reason"]): each.value for each in series} == {
        ("judged", ""): 2,
        ("dead_lettered", "image.corrupt"): 1,
        ("put_off", "fetch.failed"): 1,
    }
    assert (counted.finished, counted.dead_lettered) == (4, 1)


def test_an_uploads_age_ends_when_its_outcome_is_committed() -> None:
    with counting() as metrics:
        result().committed([Resolution((), 997_500), Resolution((), 1_000_500)])
        age_s = scraped(metrics).value("modstream_upload_age_seconds_sum")
    assert age_s == 2.5, "a clock that is ahead counts as 0"


async def judge(job: Job) -> tuple[OutgoingRecord, ...]:
    """Refuse the second record, and the first one at first."""
    if job.record.offset == 1:
        raise WrongError
    if job.record.offset == 0 and job.attempt == 1:
        raise BusyError
    return verdict(job)


async def test_the_processor_counts_records_attempts_and_waits() -> None:
    stream = MemoryStream([record(offset) for offset in range(3)])
    with counting() as metrics:
        async with running(stream, judge):
            await committed(stream, 3)
        scrape = scraped(metrics)
    assert scrape.value("modstream_records_total", outcome="judged") == 2
    assert scrape.value("modstream_records_total", outcome="dead_lettered", reason="test.wrong") == 1
    assert scrape.value("modstream_attempts_failed_total", reason="test.wrong") == 1
    assert scrape.value("modstream_attempts_failed_total", reason="test.busy") == 1
    assert scrape.value("modstream_upload_age_seconds_count", outcome="judged") == 2
    assert scrape.value("modstream_stage_duration_seconds_count", stage="wait") == 3
