"""A vision engine on a model that says what the test scripts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from service.core.instructions import CategoryDefinition, ModelInstructions
from service.inference.engine import EngineRequest
from service.inference.vision.engine import VisionEngine
from service.inference.vision.token_model import ModelRequest
from service.settings.engine import JudgingSettings
from testing.asking import GOODS, engine_request
from testing.token_model import Reads, ScriptedModel, Writes

INSTRUCTIONS = ModelInstructions(
    tuple(CategoryDefinition(name, f"shows {name}") for name in ("weapons", "alcohol", "gambling")),
    attributes=GOODS,
    follow_up_threshold=0.1,
)
PIXELS = np.zeros((32, 64, 3), np.uint8)
WHOLE = '{"k":"toy","c":["red"],"s":"fine"}'

Answers = Mapping[str, float]


def says(which: Answers, **yes: float) -> Reads:
    """Script the list's answer by label, and the probability of yes by category; the rest of those two is no."""

    def reads(ask: ModelRequest, words: Sequence[str]) -> Answers:
        if "A" in words:
            return which
        (category,) = (name for name in yes if name in ask.prompt.question)
        return {"yes": yes[category], "no": 1 - yes[category]}

    return reads


def writes(text: str) -> Writes:
    """Return a model that writes this text."""
    return lambda _ask, _schema: text


async def started(
    model: ScriptedModel, *, instructions: ModelInstructions = INSTRUCTIONS, **settings: Any
) -> VisionEngine:
    """Return an engine around a scripted model, started and prepared."""
    engine = VisionEngine(model, JudgingSettings(**settings), kind="scripted")
    await engine.start()
    await engine.prepare(instructions)
    return engine


def request(**wants: Any) -> EngineRequest:
    """Return a request about a picture of one colour."""
    return engine_request(PIXELS, **{"instructions": INSTRUCTIONS, **wants})


def questions(model: ScriptedModel) -> list[str]:
    """Return what was asked, in order, by the last part of each request's id."""
    return [ask.request_id.partition("/")[2] for ask in model.asks]
