"""Keys of outcomes that have none of their own, for compacted topics."""

import pytest

from service.core.headers import COORDINATES
from service.core.records import Headers, OutgoingRecord
from service.kafka.errors import OutcomeTooLargeError
from service.kafka.publisher import record_bytes, with_key
from service.kafka.topic_limits import TopicLimit, TopicLimits

PLACE: Headers = tuple(zip(COORDINATES, (b"uploads", b"3", b"77", b"1700000000000"), strict=True))


def letter(headers: Headers, key: bytes | None = None) -> OutgoingRecord:
    return OutgoingRecord("dead", key, b"value", headers)


def test_a_key_of_its_own_stays() -> None:
    assert with_key(letter(PLACE, b"42")).key == b"42"


def test_a_dead_letter_is_keyed_by_its_place_which_no_uploader_can_choose() -> None:
    assert with_key(letter((("ce_id", b"chosen"), *PLACE))).key == b"uploads/3/77/1700000000000"


def test_another_outcome_is_keyed_by_its_id() -> None:
    assert with_key(letter((("ce_id", b"5b0f"),))).key == b"5b0f"


def test_what_has_no_place_and_no_id_shares_its_key_with_nothing() -> None:
    assert with_key(letter(())).key != with_key(letter(())).key


async def test_the_room_that_the_key_will_take_counts_against_the_topics_limit() -> None:
    record = letter(PLACE)
    limits = TopicLimits(1_000_000, compression="none")
    size_bytes = record_bytes(record)

    async def report() -> dict[str, TopicLimit]:
        return {"dead": TopicLimit(size_bytes, size_bytes, keeps_compression=False, needs_key=True)}

    limits.reads_with(report)
    await limits.refresh()
    assert limits.needs_key("dead")
    assert limits.cut_bytes("dead") < size_bytes
    assert limits.accepts(letter(PLACE, b""))
    with pytest.raises(OutcomeTooLargeError):
        limits.check(record)
