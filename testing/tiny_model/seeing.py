"""Teaches the vision part alone what is drawn where.

Each merged patch is to say which kind of shape lies on it. That is a hundred times as much to learn from an image as
the one letter of an answer, and takes a tenth of the time, so that the language part starts with eyes that see.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from transformers import Qwen3VLForConditionalGeneration

from testing.tiny_model.forward import grid, patches
from testing.tiny_model.scenes import Scene, draw, random_scene, random_size
from testing.tiny_model.shapes import KINDS

IMAGES_A_BATCH = 16
_CELL_PIXELS = 32
# Beyond its edge a shape is still near enough for a patch to recognise it.
_REACH_PIXELS = 10.0
_NOTHING = len(KINDS)
_WARM_UP = 0.15
# Most patches are empty, and soon recognised.
_WEIGHT_OF_NOTHING = 0.2


Pictures = Callable[[np.random.Generator], tuple[np.ndarray, Sequence[Scene]]]
"""Draws images of one size, uint8 (count, height, width, 3), and returns the scenes of that size that they show."""


def random_pictures(rng: np.random.Generator) -> tuple[np.ndarray, Sequence[Scene]]:
    """Return images of one size, by chance, with what they show."""
    size = random_size(rng)
    scenes = [random_scene(rng, size=size) for _ in range(IMAGES_A_BATCH)]
    return np.stack([draw(scene) for scene in scenes]), scenes


def learn_to_see(
    model: Qwen3VLForConditionalGeneration,
    *,
    steps: int,
    seed: int,
    highest_rate: float = 5e-3,
    pictures: Pictures = random_pictures,
) -> Iterator[tuple[int, float, float]]:
    """Train step by step; yield the step, the loss, and the share of patches on shapes that were recognised."""
    rng = np.random.default_rng(seed)
    visual = model.model.visual
    width = model.config.text_config.hidden_size
    heads = torch.nn.ModuleList(torch.nn.Linear(width, len(KINDS) + 1) for _ in range(visual.config.depth + 1))
    weights = torch.tensor([1.0] * _NOTHING + [_WEIGHT_OF_NOTHING])
    parameters = [*visual.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=highest_rate, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, highest_rate, steps, pct_start=_WARM_UP)
    for step in range(steps):
        images, scenes = pictures(rng)
        seen = visual(patches(images), grid_thw=grid(images), return_dict=True)
        reported = [
            head(each) for head, each in zip(heads, [seen.pooler_output, *seen.deepstack_features], strict=True)
        ]
        wanted = torch.from_numpy(np.concatenate([cell_kinds(scene) for scene in scenes]))
        loss = torch.stack([torch.nn.functional.cross_entropy(each, wanted, weights) for each in reported]).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        drawn = wanted != _NOTHING
        yield step + 1, loss.item(), (reported[0].argmax(-1) == wanted)[drawn].float().mean().item()


def cell_kinds(scene: Scene) -> np.ndarray:
    """Return the number of the kind on each merged patch, row by row; the highest number where there is nothing."""
    rows, columns = scene.height // _CELL_PIXELS, scene.width // _CELL_PIXELS
    kinds = [
        _kind_at(scene, (column + 0.5) * _CELL_PIXELS, (row + 0.5) * _CELL_PIXELS)
        for row in range(rows)
        for column in range(columns)
    ]
    return np.array(kinds, np.int64)


def _kind_at(scene: Scene, x: float, y: float) -> int:
    distances = [(math.hypot(x - item.x, y - item.y) - item.radius, item.kind) for item in scene.items]
    near = [(distance, kind) for distance, kind in distances if distance < _REACH_PIXELS]
    return KINDS.index(min(near)[1]) if near else _NOTHING
