"""What a record takes of the window while it is in flight, whichever of its parts takes it."""

import sys

import pytest

from service.core.records import Headers, SourceRecord, record_size_bytes
from service.settings.delivery import WindowSettings
from testing.handlers import SETTINGS, RequestLimiter, running
from testing.memory_stream import TOPIC, MemoryStream
from testing.waiting import wait_until

EVENTS_BYTES = 1_000_000
NARROW = SETTINGS.model_copy(update={"window": WindowSettings(max_records=100, max_bytes=2 * EVENTS_BYTES)})
MANY: Headers = tuple((f"h{number}", b"%d" % number) for number in range(1000))


def a_record(offset: int, *, key: bytes = b"", value: bytes = b"", headers: Headers = ()) -> SourceRecord:
    return SourceRecord(TOPIC, 0, offset, 0, key, value, headers)


LARGE = bytes(250_000)


@pytest.mark.parametrize(
    "large", [a_record(0, key=LARGE), a_record(0, value=LARGE), a_record(0, headers=(("h", LARGE),))]
)
async def test_a_key_and_headers_count_as_the_value_does(large: SourceRecord) -> None:
    stream = MemoryStream([large._replace(offset=offset) for offset in range(3)])
    handler = RequestLimiter()
    async with running(stream, handler, NARROW) as processor:
        await wait_until(lambda: len(handler.started) == 3, description="all are in work")
        assert 0.75 <= processor.status().bytes_share < 0.76
        handler.let_go(*range(3))
        await wait_until(lambda: len(stream.committed) == 3, description="all are committed")
        assert processor.status().bytes_share == 0.0


def test_small_headers_count_with_the_objects_that_hold_them() -> None:
    taken = sum(sys.getsizeof(header) + sum(map(sys.getsizeof, header)) for header in MANY)
    assert taken * 0.9 < record_size_bytes(a_record(0, headers=MANY)) < taken * 1.2
