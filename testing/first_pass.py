"""Two engines for tests of first passes, each on a model that says what the test scripts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from service.core.instructions import FirstPassInstructions
from service.core.pixels import RgbPixels
from service.inference.engine import Engine
from service.inference.first_pass.engine import FirstPassEngine
from service.inference.first_pass.smaller import SmallerEngine
from service.inference.vision.engine import VisionEngine
from service.inference.vision.token_model import ModelRequest
from service.settings.engine import JudgingSettings
from testing.token_model import ScriptedModel
from testing.vision import INSTRUCTIONS

LARGE: RgbPixels = np.zeros((512, 512, 3), np.uint8)
"""An image of all 256 vision tokens; with 64, it has half of each side."""

CLEAR_BELOW = (("weapons", 0.1), ("alcohol", 0.1), ("gambling", 0.1))
FEW_TOKENS = replace(INSTRUCTIONS, first_pass=FirstPassInstructions(CLEAR_BELOW, vision_tokens=64))
SMALLER_MODEL = replace(
    INSTRUCTIONS, first_pass=FirstPassInstructions(CLEAR_BELOW, vision_tokens=256, engine="smaller")
)


def harmless(_ask: ModelRequest, _words: Sequence[str]) -> Mapping[str, float]:
    """See nothing."""
    return {"A": 1.0}


def armed(_ask: ModelRequest, words: Sequence[str]) -> Mapping[str, float]:
    """See weapons."""
    return {"A": 0.2, "B": 0.8} if "A" in words else {"yes": 0.9, "no": 0.1}


@dataclass
class SmallerModel:
    """Builds the smaller engine anew each time that it is started."""

    model: ScriptedModel = field(default_factory=lambda: ScriptedModel(reads=harmless))
    built: int = 0

    def build(self) -> VisionEngine:
        """Return an engine that is not started."""
        self.built += 1
        return VisionEngine(self.model, JudgingSettings(), kind="smaller")

    def engine(self, *, timeout_s: float = 5.0, wait_s: float = 5.0, must_start: bool = False) -> SmallerEngine:
        """Return what keeps it open."""
        return SmallerEngine(self.build, timeout_s=timeout_s, wait_s=wait_s, must_start=must_start)


def passes(main: ScriptedModel | Engine, smaller: SmallerEngine | None = None) -> FirstPassEngine:
    """Return an engine with a first pass around a scripted model, or an engine; not started."""
    engine = VisionEngine(main, JudgingSettings(), kind="scripted") if isinstance(main, ScriptedModel) else main
    return FirstPassEngine(engine, smaller)
