"""Instructions and requests for tests of engines."""

import hashlib
from dataclasses import replace

from service.core.instructions import Attribute, AttributeSchema, ModelInstructions, TextLimit
from service.core.pixels import RgbPixels
from service.inference.engine import EngineRequest
from service.policy.loader import load_policies
from service.settings.settings import PolicySettings

INSTRUCTIONS = load_policies(PolicySettings()).default.instructions
"""The bundled policy's."""

GOODS = AttributeSchema(
    "goods/1",
    (
        Attribute("kind", "k", "what it is", values=("toy", "tool", "dress")),
        Attribute("colours", "c", "its colours", values=("red", "green", "blue"), most=2),
        Attribute("slogan", "s", "words for it", limit=TextLimit(4, "words")),
    ),
)

TAGGED_INSTRUCTIONS = replace(INSTRUCTIONS, attributes=GOODS)
"""With attributes to write."""


def engine_request(
    pixels: RgbPixels,
    *,
    instructions: ModelInstructions = INSTRUCTIONS,
    wants_scores: bool = True,
    wants_tags: bool = False,
    caption: str | None = None,
) -> EngineRequest:
    """Return a request as the pipeline makes it."""
    key = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
    return EngineRequest(
        "test",
        pixels,
        instructions,
        image_key=key,
        deadline_s=float("inf"),
        wants_scores=wants_scores,
        wants_tags=wants_tags,
        caption=caption,
    )
