"""Questions to the tiny model."""

import itertools

import numpy as np

from service.core.pixels import RgbPixels
from service.inference.vision.prompt import Prompter, prompter
from service.inference.vision.token_model import ModelRequest
from testing.tiny_model.scenes import draw, random_scene
from testing.tiny_model.shapes import INSTRUCTIONS

PROMPTER: Prompter = prompter(INSTRUCTIONS)
LABELS = tuple(PROMPTER.labels)
_numbers = itertools.count()


def picture(seed: int) -> RgbPixels:
    return draw(random_scene(np.random.default_rng(seed)))


def which(seed: int, *, caption: str | None = None, adapter: str | None = None) -> ModelRequest:
    """Ask for the category of a drawn picture; equal seeds, equal pixels."""
    return ModelRequest(f"ask {next(_numbers)}", PROMPTER.which(caption), picture(seed), f"scene {seed}", adapter)


def describe(seed: int) -> ModelRequest:
    return ModelRequest(f"ask {next(_numbers)}", PROMPTER.describe(None), picture(seed), f"scene {seed}", None)
