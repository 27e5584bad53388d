"""What an audit asks: every category by a question of its own, in small rounds, after all live images."""

import asyncio
import math
from dataclasses import replace

import pytest

from testing.token_model import ScriptedModel
from testing.vision import request, says, started
from testing.waiting import wait_until

LIVE = request(wants_tags=False)
AUDIT = replace(LIVE, request_id="audit", deadline_s=math.inf, asks_all=True)
HARMLESS = {"A": 0.999, "B": 0.0005, "C": 0.0005}


async def test_every_category_is_asked_about_although_the_list_sees_next_to_nothing() -> None:
    model = ScriptedModel(reads=says(HARMLESS, weapons=0.9, alcohol=0.1, gambling=0.2))
    engine = await started(model, max_follow_ups=1)
    model.asks.clear()
    live = await engine.judge(LIVE)
    assert live.asked == frozenset()
    audit = await engine.judge(AUDIT)
    assert audit.scores == pytest.approx({"weapons": 0.9, "alcohol": 0.1, "gambling": 0.2})
    assert audit.asked == {"weapons", "alcohol", "gambling"}


async def test_no_more_questions_are_asked_at_a_time_than_about_a_live_image() -> None:
    model = ScriptedModel(reads=says(HARMLESS, weapons=0.9, alcohol=0.1, gambling=0.2), busy_s=0.001)
    engine = await started(model, max_follow_ups=2)
    model.most_in_flight = 0
    await engine.judge(AUDIT)
    assert model.most_in_flight == 2


async def test_live_images_go_before_the_questions_of_an_audit_that_came_earlier() -> None:
    hold = asyncio.Event()
    model = ScriptedModel(reads=says(HARMLESS, weapons=0.9, alcohol=0.1, gambling=0.2), concurrency=1, hold=hold)
    engine = await started(model)
    model.asks.clear()
    audit = asyncio.create_task(engine.judge(AUDIT))
    await wait_until(lambda: model.in_flight == 1, description="the audit's first question is in work")
    live = [asyncio.create_task(engine.judge(replace(LIVE, request_id=f"live-{number}"))) for number in range(3)]
    await wait_until(lambda: engine.load().waiting == 3, description="the live images wait")
    hold.set()
    await asyncio.gather(audit, *live)
    order = [ask.request_id.partition("#")[0] for ask in model.asks]
    assert order[1:4] == ["live-0", "live-1", "live-2"]
    assert order[0] == "audit"
    assert set(order[4:]) == {"audit"}
    assert len(order) == 7
