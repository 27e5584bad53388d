"""Pure: what a first pass is asked, about which images, and what its answer means."""

import math
from collections.abc import Mapping
from dataclasses import replace

from service.core.instructions import FirstPassInstructions, ModelInstructions
from service.core.pixels import RgbPixels
from service.inference.engine import EngineDescription, EngineOutput, EngineRequest, FirstPassOutput
from service.inference.first_pass.reducer import reduced_preprocessing

LONGEST_SQUEEZED = 2.1
"""Longer images are not cleared by an engine that squeezes them into a square; the decoders cut them into parts."""

SKIPPED = FirstPassOutput("skipped")
FAILED = FirstPassOutput("failed")


def full_instructions(instructions: ModelInstructions) -> ModelInstructions:
    """Return the instructions of the full pass."""
    return instructions if instructions.first_pass is None else replace(instructions, first_pass=None)


def first_instructions(full: ModelInstructions, rule: FirstPassInstructions) -> ModelInstructions:
    """Return the instructions of a first pass: the same prompt, and no question after the list.

    An adapter belongs to the main engine's model.
    """
    return replace(
        full,
        vision_tokens=rule.vision_tokens,
        follow_up_threshold=math.inf,
        adapter=full.adapter if rule.engine == "same" else None,
    )


def first_request(request: EngineRequest, first: ModelInstructions, pixels: RgbPixels) -> EngineRequest:
    """Return the request of a first pass, under names of its own: its pixels are others."""
    return replace(
        request,
        request_id=f"{request.request_id}/first",
        pixels=pixels,
        instructions=first,
        image_key=f"{request.image_key}/first",
        asks_all=False,
    )


def first_description(described: EngineDescription, full: EngineDescription) -> EngineDescription:
    """Return the description of an engine as it takes the first pass before another one, whose images it is given."""
    named = reduced_preprocessing(described.preprocessing, full=full.image_spec, first=described.image_spec)
    return replace(described, covers=full.covers, image_spec=full.image_spec, preprocessing=named)


def is_left_out(
    request: EngineRequest, described: EngineDescription, rule: FirstPassInstructions, *, is_reduced: bool
) -> bool:
    """Return whether a first pass would save nothing, or would not see the image as it is."""
    height, width = request.pixels.shape[:2]
    if described.image_spec.is_square and max(height, width) > LONGEST_SQUEEZED * min(height, width):
        return True
    # The same engine would be asked the same question about the same pixels twice.
    return rule.engine == "same" and not is_reduced


def found(output: EngineOutput, by: EngineDescription, clear_below: Mapping[str, float]) -> FirstPassOutput:
    """Return what a first pass found; one that did not judge the image, or not in all categories, gave no scores."""
    given = output.scores or {}
    if not by.covers or not by.covers <= given.keys():
        return FAILED
    scores = {name: given[name] for name in given if name in by.covers}
    is_clear = all(score < clear_below.get(name, 0.0) for name, score in scores.items())
    return FirstPassOutput("cleared" if is_clear else "passed_on", scores, output.label_mass, by)
