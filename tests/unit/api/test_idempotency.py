import asyncio
from collections.abc import Awaitable, Callable

import pytest
from starlette.responses import Response

from service.api.judging.idempotency import AnswerKey, GivenAnswers, IdempotencyMismatchError
from service.settings.api import IdempotencySettings
from testing.clock import StillClock
from testing.waiting import wait_until

KEY = AnswerKey("key1", "shop", "order-7")


class CountedWork:
    """Counts how often it is done, and ends when the test lets it."""

    def __init__(self, body: bytes = b"done", status: int = 200) -> None:
        self.begun = 0
        self.may_end = asyncio.Event()
        self.error: Exception | None = None
        self._response = (body, status)

    async def __call__(self) -> Response:
        self.begun += 1
        await self.may_end.wait()
        if self.error is not None:
            raise self.error
        return Response(*self._response)


def done(body: bytes = b"done", status: int = 200) -> CountedWork:
    work = CountedWork(body, status)
    work.may_end.set()
    return work


def is_ok(answer: Response) -> bool:
    return answer.status_code < 500


async def ask(
    answers: GivenAnswers, work: Callable[[], Awaitable[Response]], key: AnswerKey = KEY, fingerprint: bytes = b"a"
) -> Response:
    return await answers.answer(key, fingerprint, work, is_final=is_ok)


def is_replayed(answer: Response) -> bool:
    return answer.headers.get("idempotent-replayed") == "true"


@pytest.fixture
def answers() -> GivenAnswers:
    return GivenAnswers(IdempotencySettings())


async def test_a_repeated_request_gets_the_first_answer_and_no_work_is_done(answers: GivenAnswers) -> None:
    work = done(status=202)
    first, second = await ask(answers, work), await ask(answers, work)
    assert (second.body, second.status_code, work.begun) == (b"done", 202, 1)
    assert (is_replayed(first), is_replayed(second)) == (False, True)


async def test_a_repeated_request_waits_for_the_first_one_in_hand(answers: GivenAnswers) -> None:
    work = CountedWork()
    asking = [asyncio.create_task(ask(answers, work)) for _ in range(3)]
    await wait_until(lambda: work.begun == 1, description="the first one is in work")
    work.may_end.set()
    found = [await each for each in asking]
    assert work.begun == 1
    assert [is_replayed(each) for each in found] == [False, True, True]


@pytest.mark.parametrize("is_in_hand", [True, False])
async def test_another_request_with_the_key_is_refused(answers: GivenAnswers, is_in_hand: bool) -> None:
    work = CountedWork()
    first = asyncio.create_task(ask(answers, work))
    await wait_until(lambda: work.begun == 1, description="the first one is in work")
    if not is_in_hand:
        work.may_end.set()
        await first
    with pytest.raises(IdempotencyMismatchError):
        await ask(answers, work, fingerprint=b"b")
    work.may_end.set()
    await first


async def test_a_key_belongs_to_its_caller_and_tenant(answers: GivenAnswers) -> None:
    work = done()
    for key in (KEY, KEY._replace(key_id="key2"), KEY._replace(tenant="other")):
        await ask(answers, work, key)
    assert work.begun == 3


async def test_a_failure_that_may_pass_is_not_kept(answers: GivenAnswers) -> None:
    assert (await ask(answers, done(status=503))).status_code == 503
    assert (await ask(answers, done())).status_code == 200
    assert len(answers) == 1


async def test_a_client_that_leaves_makes_way_for_the_next_one(answers: GivenAnswers) -> None:
    work = CountedWork()
    first = asyncio.create_task(ask(answers, work))
    await wait_until(lambda: work.begun == 1, description="the first one is in work")
    second = asyncio.create_task(ask(answers, work))
    await asyncio.sleep(0)
    first.cancel()
    await wait_until(lambda: work.begun == 2, description="the second one is in work")
    work.may_end.set()
    assert not is_replayed(await second)
    assert is_replayed(await ask(answers, work))


async def test_an_error_is_not_kept(answers: GivenAnswers) -> None:
    work = done()
    work.error = ValueError()
    with pytest.raises(ValueError):  # noqa: PT011 - raised above, without a text
        await ask(answers, work)
    assert not is_replayed(await ask(answers, done()))


async def test_answers_are_kept_for_their_time() -> None:
    clock, work = StillClock(), done()
    answers = GivenAnswers(IdempotencySettings(keep_s=60), clock=clock)
    await ask(answers, work)
    clock.now_s += 59
    assert is_replayed(await ask(answers, work))
    clock.now_s += 1
    assert not is_replayed(await ask(answers, work))


async def test_the_number_of_answers_is_bounded_and_the_oldest_go_first() -> None:
    answers = GivenAnswers(IdempotencySettings(max_keys=2))
    for number in range(3):
        await ask(answers, done(), KEY._replace(text=str(number)))
    assert len(answers) == 2
    assert not is_replayed(await ask(answers, done(), KEY._replace(text="0")))
    assert is_replayed(await ask(answers, done(), KEY._replace(text="2")))


async def test_the_bytes_of_answers_are_bounded() -> None:
    answers = GivenAnswers(IdempotencySettings(max_bytes=10_000))
    for number in range(10):
        await ask(answers, done(b"x" * 3000), KEY._replace(text=str(number)))
    assert len(answers) == 2
    assert answers.kept_bytes <= 10_000
    await ask(answers, done(b"x" * 20_000), KEY._replace(text="large"))
    assert (len(answers), answers.kept_bytes) == (0, 0)
