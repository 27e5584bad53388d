"""Questions to the tiny model."""

import itertools

import numpy as np

from service.inference.vision.prompt import Prompter, prompter
from service.inference.vision.token_model import Ask
from service.pixels import RgbPixels
from tests.models.scenes import draw, random_scene
from tests.models.shapes import BRIEF

PROMPTER: Prompter = prompter(BRIEF)
LABELS = tuple(PROMPTER.labels)
_numbers = itertools.count()


def picture(seed: int) -> RgbPixels:
    return draw(random_scene(np.random.default_rng(seed)))


def which(seed: int, *, caption: str | None = None, adapter: str | None = None) -> Ask:
    """Ask for the category of a drawn picture; equal seeds, equal pixels."""
    return Ask(f"ask {next(_numbers)}", PROMPTER.which(caption), picture(seed), f"scene {seed}", adapter)


def describe(seed: int) -> Ask:
    return Ask(f"ask {next(_numbers)}", PROMPTER.describe(None), picture(seed), f"scene {seed}", None)
