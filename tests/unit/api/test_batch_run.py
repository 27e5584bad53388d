import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import BaseModel

from service.api.judging.batch_lines import Line
from service.api.judging.batch_models import BatchOutcome, BatchProgress, BatchSummary, Order
from service.api.judging.batch_run import BatchRun, LineRoom
from service.api.judging.places import DrainingError, Places
from service.api.models import ErrorDetail
from testing.clock import StillClock
from testing.waiting import wait_until

FAILED = ErrorDetail(message="", type="", code="image.corrupt")


class Gates:
    """Judges each line when the test lets it."""

    def __init__(self, *, open_: bool = False) -> None:
        self.may_end: dict[int, asyncio.Event] = {}
        self.begun: list[int] = []
        self.cancelled: list[int] = []
        self.drains_at: int | None = None
        self._is_open = open_

    async def admit(self) -> None:
        if self.drains_at == len(self.begun):
            raise DrainingError

    async def judge(self, line: Line) -> BatchOutcome:
        self.begun.append(line.number)
        gate = self.may_end.setdefault(line.number, asyncio.Event())
        try:
            if not self._is_open:
                await gate.wait()
        except asyncio.CancelledError:
            self.cancelled.append(line.number)
            raise
        return BatchOutcome(line=line.number, image_id=None, error=FAILED if line.data == b"bad" else None)


class Client:
    """Takes lines of the answer, while it wants to."""

    def __init__(self) -> None:
        self.received: list[BaseModel] = []
        self.reads = asyncio.Event()
        self.reads.set()

    async def write(self, line: BaseModel) -> None:
        await self.reads.wait()
        self.received.append(line)

    @property
    def numbers(self) -> list[int]:
        return [line.line for line in self.received if isinstance(line, BatchOutcome)]

    @property
    def summary(self) -> BatchSummary:
        last = self.received[-1]
        assert isinstance(last, BatchSummary)
        return last


class Body:
    """Lines that count how many of them were read."""

    def __init__(self, *lines: bytes) -> None:
        self._lines = lines
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[Line]:
        for number, data in enumerate(self._lines, start=1):
            self.read = number
            yield Line(number, data)


@pytest.fixture
def judge() -> Gates:
    return Gates()


@pytest.fixture
def client() -> Client:
    return Client()


def batch(judge: Gates, client: Client, *, order: Order = "input", room: LineRoom | None = None) -> BatchRun:
    return BatchRun(judge, room or LineRoom(4, 1000), client.write, order=order)


async def test_outcomes_come_in_the_order_of_their_lines(judge: Gates, client: Client) -> None:
    running = asyncio.create_task(batch(judge, client).run(aiter(Body(b"1", b"2", b"3"))))
    await wait_until(lambda: len(judge.begun) == 3, description="all lines are in work")
    for number in (3, 2):
        judge.may_end[number].set()
    await asyncio.sleep(0)
    assert client.numbers == []
    judge.may_end[1].set()
    await running
    assert client.numbers == [1, 2, 3]


async def test_outcomes_come_as_they_are_done_where_the_client_wants_that(judge: Gates, client: Client) -> None:
    running = asyncio.create_task(batch(judge, client, order="completed").run(aiter(Body(b"1", b"2", b"3"))))
    await wait_until(lambda: len(judge.begun) == 3, description="all lines are in work")
    for count, number in enumerate((3, 1, 2), start=1):
        judge.may_end[number].set()
        await wait_until(lambda wanted=count: len(client.numbers) == wanted, description="it is sent")  # type: ignore[misc]  # bound now
    await running
    assert client.numbers == [3, 1, 2]


async def test_no_more_lines_are_read_than_have_room(judge: Gates, client: Client) -> None:
    body = Body(*[b"x"] * 10)
    running = asyncio.create_task(batch(judge, client, room=LineRoom(4, 1000)).run(aiter(body)))
    await wait_until(lambda: body.read == 5, description="one line waits for room")
    assert len(judge.begun) == 4
    running.cancel()


async def test_no_more_bytes_are_held_than_have_room_and_one_line_may_have_any_size(
    judge: Gates, client: Client
) -> None:
    body = Body(b"x" * 200, b"x" * 60, b"x" * 60)
    running = asyncio.create_task(batch(judge, client, room=LineRoom(4, 100)).run(aiter(body)))
    await wait_until(lambda: body.read == 2, description="the second line waits for room")
    assert judge.begun == [1]
    judge.may_end[1].set()
    await wait_until(lambda: body.read == 3, description="the third line waits for room")
    assert judge.begun == [1, 2]
    running.cancel()


async def test_a_client_that_reads_nothing_stops_the_reading_of_its_body(client: Client) -> None:
    client.reads.clear()
    body = Body(*[b"x"] * 1000)
    running = asyncio.create_task(batch(Gates(open_=True), client).run(aiter(body)))
    await wait_until(lambda: body.read == 5, description="the room is full")
    client.reads.set()
    await running
    assert len(client.numbers) == 1000


async def test_the_summary_counts_and_comes_last(client: Client) -> None:
    await batch(Gates(open_=True), client).run(aiter(Body(b"1", b"bad", b"bad")))
    assert client.summary.is_complete
    assert (client.summary.lines, client.summary.outcomes) == (3, 3)
    assert client.summary.errors == {"image.corrupt": 2}


async def test_an_empty_batch_has_a_summary(judge: Gates, client: Client) -> None:
    await batch(judge, client).run(aiter(Body()))
    assert client.received == [client.summary]
    assert client.summary.is_complete


async def test_lines_in_work_are_answered_when_no_further_line_is_admitted(client: Client) -> None:
    judge = Gates(open_=True)
    judge.drains_at = 2
    await batch(judge, client, room=LineRoom(1, 1000)).run(aiter(Body(*[b"x"] * 10)))
    assert client.numbers == [1, 2]
    assert not client.summary.is_complete
    assert client.summary.error is not None
    assert client.summary.error.code == "api.draining"


async def test_a_cancelled_batch_ends_the_work_on_its_lines(judge: Gates, client: Client) -> None:
    running = asyncio.create_task(batch(judge, client).run(aiter(Body(b"1", b"2"))))
    await wait_until(lambda: len(judge.begun) == 2, description="all lines are in work")
    running.cancel()
    await asyncio.wait([running])
    assert sorted(judge.cancelled) == [1, 2]


async def test_progress_comes_at_its_time_and_while_nothing_is_done(judge: Gates, client: Client) -> None:
    clock = StillClock()
    run = BatchRun(judge, LineRoom(4, 1000), client.write, order="input", progress_s=0.01, clock=clock)
    running = asyncio.create_task(run.run(aiter(Body(b"1"))))
    await wait_until(lambda: judge.begun == [1], description="the line is in work")
    assert client.received == []
    clock.now_s += 1
    await wait_until(lambda: len(client.received) == 1, description="progress is sent")
    assert client.received[0] == BatchProgress(lines=1, outcomes=0, decisions={}, errors={}, elapsed_s=1.0)
    judge.may_end[1].set()
    await running
    assert client.summary.outcomes == 1


async def test_a_batch_and_a_request_of_another_tenant_get_places_by_turns() -> None:
    places, order = Places(1, max_waiting=10), list[str]()

    async def work(tenant: str, *, is_patient: bool) -> None:
        async with places.place(tenant, is_patient=is_patient):
            order.append(tenant)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group, places.place("another"):
        for _ in range(5):
            group.create_task(work("batch", is_patient=True))
        await asyncio.sleep(0)
        group.create_task(work("single", is_patient=False))
        await asyncio.sleep(0)
    assert order.index("single") == 1
