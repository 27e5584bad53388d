"""An engine on trial: which images it sees, what it holds, and how it fails."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from service.core.errors import EngineDeadError
from service.core.instructions import ModelInstructions
from service.core.pixels import ImageSpec
from service.inference.engine import Engine, EngineDescription, EngineOutput, EngineRequest
from service.inference.errors import EngineFailedError
from service.moderation import shadow_engine
from service.moderation.background import is_chosen
from service.moderation.shadow_engine import ShadowEngine
from service.settings.shadow import ShadowEngineSettings
from testing.engine import PaintedEngine
from testing.metrics import Scrape, counting, scraped
from testing.waiting import wait_until
from tests.unit.moderation.shadow_parts import HARMLESS, TOPIC, Kept, judgement

ALL = ShadowEngineSettings(kind="openai", share=1.0)


class OnTrial:
    """A shadow engine that works, and what it published."""

    def __init__(
        self,
        engine: Engine,
        settings: ShadowEngineSettings = ALL,
        *,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        self.opened = 0
        self.kept = Kept()
        self._engine = engine
        self.shadow = ShadowEngine(self._open, settings, publisher=self.kept, topic=TOPIC, has_room=has_room)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Engine]:
        await self._engine.start()
        self.opened += 1
        yield self._engine

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run until the end of the block, from the moment that the engine has started."""
        task = asyncio.create_task(self.shadow.run())
        await wait_until(lambda: self.opened > 0, description="the engine has started")
        await asyncio.sleep(0)
        yield
        self.shadow.drain()
        await asyncio.wait([task])


def left_out(scrape: Scrape) -> dict[str, float]:
    """Return how many images were left out, by reason."""
    name = "modstream_shadow_left_out_total"
    return {reason: count for reason, count in scrape.by("reason", name).items() if count}


async def test_the_live_policy_decides_on_what_the_engine_on_trial_sees() -> None:
    trial = OnTrial(PaintedEngine())
    live = judgement(scores=HARMLESS | {"violence": 0.95})
    with counting() as metrics:
        async with trial.running():
            trial.shadow.offer(live)
            await wait_until(lambda: bool(trial.kept.records), description="the image was judged")
        scrape = scraped(metrics)
    (message,) = trial.kept.messages
    assert (message.live.decision, message.policies) == ("block", ())
    assert message.engine is not None
    assert (message.engine.verdict.decision, message.engine.agrees) == ("allow", False)
    assert (message.engine.verdict.engine, message.engine.verdict.policy) == ("painted", live.verdict.policy)
    assert message.engine.verdict.scores == HARMLESS
    assert scrape.value("modstream_shadow_decisions_total", shadow="engine", live="block", decision="allow") == 1


async def test_it_is_asked_for_scores_alone_with_its_adapter_after_all_others_and_apart_from_the_records_losses() -> (
    None
):
    engine = PaintedEngine()
    trial = OnTrial(engine, ALL.model_copy(update={"adapter": "new"}))
    live = judgement()
    event = live.subject.event.model_copy(update={"tasks": ("moderation", "tags")})
    live = replace(live, subject=replace(live.subject, event=event))
    async with trial.running():
        trial.shadow.offer(live)
        await wait_until(lambda: bool(trial.kept.records), description="the image was judged")
    (request,) = engine.requests
    assert (request.wants_scores, request.wants_tags) == (True, False)
    assert request.instructions.adapter == "new"
    assert request.deadline_s == float("inf")
    assert request.losses is not live.subject.losses
    assert request.pixels is live.subject.image.frames[0]


def test_about_the_share_of_the_images_is_chosen_and_everywhere_the_same() -> None:
    ids = [f"image-{number}" for number in range(10_000)]
    chosen = {each for each in ids if is_chosen(each, share=0.05, seed="")}
    assert chosen == {each for each in ids if is_chosen(each, share=0.05, seed="")}
    assert 400 < len(chosen) < 600
    assert chosen < {each for each in ids if is_chosen(each, share=0.2, seed="")}
    assert chosen != {each for each in ids if is_chosen(each, share=0.05, seed="other")}
    assert all(is_chosen(each, share=1.0, seed="") for each in ids)
    assert not any(is_chosen(each, share=0.0, seed="") for each in ids)


def test_an_id_of_any_text_and_a_seed_of_any_length_choose() -> None:
    assert is_chosen("\ud800", share=1.0, seed="x" * 200)


async def test_an_engine_that_hangs_holds_a_bounded_number_of_images_and_lets_go_of_them() -> None:
    class Hanging(PaintedEngine):
        async def judge(self, request: EngineRequest) -> EngineOutput:
            self.requests.append(request)
            return await asyncio.Event().wait()  # type: ignore[return-value]  # never

    engine = Hanging()
    settings = ALL.model_copy(update={"max_in_flight": 2, "max_waiting": 3, "timeout_s": 0.05})
    trial = OnTrial(engine, settings)
    with counting() as metrics:
        async with trial.running():
            for offset in range(100):
                trial.shadow.offer(judgement(offset=offset))
            assert left_out(scraped(metrics)) == {"queue_full": 95}
            await wait_until(lambda: left_out(scraped(metrics)).get("timed_out") == 5, description="all were given up")
            trial.shadow.offer(judgement())
            await wait_until(lambda: len(engine.requests) == 6, description="another image has its turn")
    assert trial.kept.records == []


async def test_an_engine_that_hangs_while_it_prepares_for_a_policy_is_given_up_as_well() -> None:
    class Unprepared(PaintedEngine):
        async def prepare(self, instructions: ModelInstructions) -> None:
            await asyncio.Event().wait()

    trial = OnTrial(Unprepared(), ALL.model_copy(update={"timeout_s": 0.05}))
    with counting() as metrics:
        async with trial.running():
            trial.shadow.offer(judgement())
            await wait_until(lambda: left_out(scraped(metrics)) == {"timed_out": 1}, description="it was given up")


async def test_the_pixels_that_it_holds_are_bounded_by_bytes() -> None:
    hold = asyncio.Event()
    trial = OnTrial(PaintedEngine(hold=hold), ALL.model_copy(update={"max_bytes": 3 * (100 * 100 * 3 + 1_000)}))
    with counting() as metrics:
        async with trial.running():
            for offset in range(5):
                trial.shadow.offer(judgement(offset=offset, side=100, value=b""))
            assert left_out(scraped(metrics)) == {"queue_full": 2}
            hold.set()
            await wait_until(lambda: len(trial.kept.records) == 3, description="those in hand were judged")
            trial.shadow.offer(judgement(side=100, value=b""))
            await wait_until(lambda: len(trial.kept.records) == 4, description="there is room again")


async def test_an_image_is_left_out_while_the_live_engine_is_busy() -> None:
    trial = OnTrial(PaintedEngine(), has_room=lambda: False)
    with counting() as metrics:
        async with trial.running():
            trial.shadow.offer(judgement())
        assert left_out(scraped(metrics)) == {"no_room": 1}


async def test_an_image_that_fails_costs_no_other() -> None:
    class Failing(PaintedEngine):
        async def judge(self, request: EngineRequest) -> EngineOutput:
            if request.request_id.endswith("/13/0"):
                raise EngineFailedError(detail="on purpose")
            if request.request_id.endswith("/14/0"):
                raise ZeroDivisionError
            return await super().judge(request)

    trial = OnTrial(Failing())
    with counting() as metrics:
        async with trial.running():
            for offset in (13, 14, 15):
                trial.shadow.offer(judgement(offset=offset))
            await wait_until(lambda: bool(trial.kept.records), description="the last image was judged")
        assert left_out(scraped(metrics)) == {"failed": 2}
    assert trial.opened == 1


async def test_an_engine_that_dies_is_opened_again_and_health_says_so_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shadow_engine, "_PAUSE_S", 0.05)

    class Mortal(PaintedEngine):
        lives = 1

        async def judge(self, request: EngineRequest) -> EngineOutput:
            if self.lives:
                self.lives -= 1
                raise EngineDeadError(detail="on purpose")
            return await super().judge(request)

    trial = OnTrial(Mortal())
    async with trial.running():
        trial.shadow.offer(judgement())
        await wait_until(lambda: bool(trial.shadow.warnings()), description="the failure is known", every_s=0.001)
        assert "shadow.engine" in trial.shadow.warnings()[0]
        await wait_until(lambda: trial.opened == 2, description="the engine was opened again")
        trial.shadow.offer(judgement())
        await wait_until(lambda: bool(trial.kept.records), description="the image was judged")
        assert trial.shadow.warnings() == []


async def test_an_engine_that_does_not_start_leaves_images_out() -> None:
    class Absent(PaintedEngine):
        async def start(self) -> None:
            raise EngineDeadError(detail="there is none")

    trial = OnTrial(Absent())
    task = asyncio.create_task(trial.shadow.run())
    with counting() as metrics:
        await wait_until(lambda: bool(trial.shadow.warnings()), description="the failure is known")
        trial.shadow.offer(judgement())
        assert left_out(scraped(metrics)) == {"not_ready": 1}
    trial.shadow.drain()
    await asyncio.wait([task])


async def test_an_engine_that_would_get_other_pixels_live_is_not_tried() -> None:
    class Wanting(PaintedEngine):
        def describe(self, instructions: ModelInstructions) -> EngineDescription:
            return replace(super().describe(instructions), image_spec=ImageSpec(max_pixels=512 * 512))

    trial = OnTrial(Wanting())
    with capture_logs() as lines:
        async with trial.running():
            trial.shadow.offer(judgement())
            await wait_until(lambda: bool(trial.shadow.warnings()), description="the failure is known")
    assert any("images have up to 4096 pixels here" in str(line.get("error")) for line in lines)


async def test_a_publisher_that_raises_costs_the_record_alone() -> None:
    class Raising(Kept):
        async def publish(self, records: Sequence[object]) -> None:
            raise OSError

    trial = OnTrial(PaintedEngine())
    trial.shadow = ShadowEngine(trial._open, ALL, publisher=Raising(), topic=TOPIC)
    with counting() as metrics:
        async with trial.running():
            trial.shadow.offer(judgement())
            await wait_until(lambda: left_out(scraped(metrics)) == {"failed": 1}, description="it was counted")


async def test_requests_that_an_engine_cancels_end_no_worker() -> None:
    class Cancelling(PaintedEngine):
        async def judge(self, request: EngineRequest) -> EngineOutput:
            if len(self.requests) < 2 * ALL.max_in_flight:
                self.requests.append(request)
                raise asyncio.CancelledError
            return await super().judge(request)

    trial = OnTrial(Cancelling())
    with counting() as metrics:
        async with trial.running():
            for offset in range(2 * ALL.max_in_flight + 1):
                trial.shadow.offer(judgement(offset=offset))
            await wait_until(lambda: bool(trial.kept.records), description="a later image is judged")
        scrape = scraped(metrics)
    assert left_out(scrape) == {"failed": 2 * ALL.max_in_flight}


async def test_an_engine_whose_start_is_cancelled_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Starting(PaintedEngine):
        starts = 0

        async def start(self) -> None:
            self.starts += 1
            if self.starts == 1:
                raise asyncio.CancelledError
            await super().start()

    monkeypatch.setattr(shadow_engine, "_PAUSE_S", 0.0)
    trial = OnTrial(Starting())
    async with trial.running():
        assert trial.opened == 1
