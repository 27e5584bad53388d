"""A vision engine on a model that says what the test scripts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from service.brief import Brief, CategoryDefinition
from service.inference.engine import EngineRequest
from service.inference.vision.engine import VisionEngine
from service.inference.vision.token_model import Ask
from service.judging_settings import JudgingSettings
from tests.support.asking import GOODS, engine_request
from tests.support.token_model import Reads, ScriptedModel, Writes

BRIEF = Brief(
    tuple(CategoryDefinition(name, f"shows {name}") for name in ("weapons", "alcohol", "gambling")),
    attributes=GOODS,
    suspicion=0.1,
)
PIXELS = np.zeros((32, 64, 3), np.uint8)
WHOLE = '{"k":"toy","c":["red"],"s":"fine"}'

Answers = Mapping[str, float]


def says(which: Answers, **yes: float) -> Reads:
    """Script the list's answer by label, and the probability of yes by category; the rest of those two is no."""

    def reads(ask: Ask, words: Sequence[str]) -> Answers:
        if "A" in words:
            return which
        (category,) = (name for name in yes if name in ask.prompt.question)
        return {"yes": yes[category], "no": 1 - yes[category]}

    return reads


def writes(text: str) -> Writes:
    return lambda _ask, _schema: text


async def started(model: ScriptedModel, *, brief: Brief = BRIEF, **settings: Any) -> VisionEngine:
    engine = VisionEngine(model, JudgingSettings(**settings), kind="scripted")
    await engine.start()
    await engine.prepare(brief)
    return engine


def request(**wants: Any) -> EngineRequest:
    return engine_request(PIXELS, **{"brief": BRIEF, **wants})


def questions(model: ScriptedModel) -> list[str]:
    """Return what was asked, in order, by the last part of each request's id."""
    return [ask.request_id.partition("/")[2] for ask in model.asks]
