"""The engine as it judges by one policy, and the scores of one image for the policy to decide on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from service.core.instructions import ModelInstructions
from service.inference.engine import EngineDescription, EngineOutput
from service.media.types import DecodedImage
from service.policy.calibration import Calibration, EngineCalibration
from service.policy.judged import JudgedFrame, JudgedImage


@dataclass(frozen=True, slots=True)
class PolicyEngine:
    """What judges by one policy, and how its scores are calibrated."""

    instructions: ModelInstructions
    file: Calibration | None
    description: EngineDescription
    calibration: EngineCalibration | None

    def of(self, outputs: Sequence[EngineOutput]) -> Self:
        """Return what judged one image: the first pass where that cleared all of its views.

        The calibration is that of the full pass; scores of a first pass stay as they are.
        """
        by = next((output.first_pass.by for output in outputs if output.first_pass is not None), None)
        if by is None or not all(output.is_cleared for output in outputs):
            return self
        return replace(self, description=by, calibration=None)


def judged_views(
    image: DecodedImage,
    engine: EngineDescription,
    outputs: Sequence[EngineOutput],
    calibration: EngineCalibration | None,
) -> JudgedImage:
    """Return the calibrated scores of each view; an image with a view that was not judged is not judged."""
    frames = [JudgedFrame(output.scores, output.asked) for output in outputs if output.scores]
    if len(frames) < len(outputs):
        unjudged = next((output.unjudged for output in outputs if output.unjudged), None)
        return JudgedImage((), engine.hints, unjudged, image.ambiguous)
    judged = JudgedImage(tuple(frames), engine.hints, ambiguous=image.ambiguous)
    judged.check(engine.covers)
    return judged if calibration is None else calibration.applied(judged)
