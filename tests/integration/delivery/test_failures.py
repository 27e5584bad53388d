"""What cannot be judged, and what cannot be started."""

from pathlib import Path

import pytest

from service.delivery.processor import Processor
from service.delivery.required_topics import required_topics
from service.kafka.connection import KafkaConnection
from service.kafka.errors import TopicMissingError, TransactionsRefusedError
from service.kafka.topics import ensure_topics
from service.settings.delivery import DeadLetterSettings, TopicSettings
from testing.kafka import KafkaBroker
from testing.stream_worker import InstructedToStopError, ObedientHandler
from testing.topics import committed_reader
from tests.integration.delivery.world import World


@pytest.mark.docker
async def test_rejected_and_failing_records_become_dead_letters_among_the_verdicts(world: World) -> None:
    await world.publish([{}, {"fail": "rejected"}, {"fail": "transient"}, {}])
    async with world.processor():
        await world.every_record_has_one_outcome()
    dead_letters = {
        int(dead_letter.key): dict(dead_letter.headers)
        for dead_letter in world.reader.of(world.settings.topics.dead_letters)
    }
    assert {number: headers["modstream-reason"] for number, headers in dead_letters.items()} == {
        1: b"test.rejected",
        2: b"test.transient",
    }
    assert dead_letters[2]["modstream-attempt"] == b"2"
    assert dead_letters[1]["modstream-origin-topic"] == world.settings.topics.uploads.encode()


@pytest.mark.docker
async def test_a_fault_that_lasts_goes_through_the_tiers(kafka: KafkaBroker, tmp_path: Path) -> None:
    async with World.build(kafka.bootstrap_servers, tmp_path, tiers=("1s", "2s")) as world:
        await world.publish([{}, {"fail": "transient"}, {}])
        async with world.processor() as handler:
            await world.outcomes(2)
            assert world.reader.of(world.settings.topics.dead_letters) == []
            await world.every_record_has_one_outcome()
    (dead_letter,) = world.reader.of(world.settings.topics.dead_letters)
    assert dict(dead_letter.headers)["modstream-attempt"] == b"6"
    attempts = [job for job in handler.jobs if job.record.key == b"1"]
    assert [job.attempt for job in attempts] == [1, 2, 3, 4, 5, 6]
    assert {job.record.topic for job in attempts} == {world.settings.topics.uploads}
    assert attempts[2].received_at_s - attempts[1].received_at_s > 1.0
    assert attempts[4].received_at_s - attempts[3].received_at_s > 2.0


@pytest.mark.docker
async def test_a_tenant_reads_why_its_events_failed_in_a_topic_without_events(world: World) -> None:
    dead_letter = DeadLetterSettings(notice_tenants=("shop", "forum"))
    settings = world.settings.model_copy(update={"dead_letter": dead_letter})
    await ensure_topics(KafkaConnection(settings.kafka), required_topics(settings), partitions=1)
    topics = [f"{settings.topics.dead_letters}.notices.{tenant}" for tenant in dead_letter.notice_tenants]
    await world.publish([{"tenant": "shop", "fail": "rejected"}, {"tenant": "other", "fail": "rejected"}, {}])
    async with committed_reader(settings.kafka.bootstrap_servers, topics) as notices:
        async with world.processor(settings):
            await world.every_record_has_one_outcome()
            await notices.until(1)
        await notices.linger(quiet_s=0.5)
        (notice,) = notices.records
    assert (notice.topic, notice.key, notice.value) == (topics[0], b"0", None)
    assert dict(notice.headers)["modstream-reason"] == b"test.rejected"


@pytest.mark.docker
async def test_a_fatal_error_leaves_its_record_to_the_next_process(world: World) -> None:
    await world.publish([{}, {"fail": "fatal"}, {}])
    for _ in range(2):
        with pytest.raises(InstructedToStopError):
            await Processor(world.settings, ObedientHandler(world.settings.topics.verdicts)).run()
    await world.reader.linger(quiet_s=1.0)
    assert 1 not in {int(record.key) for record in world.reader.records}


@pytest.mark.docker
async def test_a_missing_topic_stops_the_start_and_names_its_setting(world: World) -> None:
    topics = TopicSettings(**world.settings.topics.model_dump() | {"verdicts": "nowhere"})
    settings = world.settings.model_copy(update={"topics": topics})
    with pytest.raises(TopicMissingError, match=r"topic nowhere \(setting topics\.verdicts\)"):
        await Processor(settings, ObedientHandler("nowhere")).run()


async def test_exactly_once_without_transactions_stops_the_start_and_names_the_setting(small_world: World) -> None:
    settings = small_world.settings.model_copy(update={"delivery": "exactly_once"})
    with pytest.raises(TransactionsRefusedError, match="MODSTREAM_DELIVERY=at_least_once"):
        await Processor(settings, ObedientHandler("nowhere")).run()
