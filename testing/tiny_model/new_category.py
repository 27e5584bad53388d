"""A category that the tiny model was never taught, as labelled images and as a policy.

It is a ring of purple dots: neither its colour nor its form is in any picture that the model has seen.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from PIL import Image, ImageDraw

from service.core.pixels import RgbPixels
from service.tools.demo.tiny_model import POLICY
from testing.tiny_model.answers import categories
from testing.tiny_model.scenes import Scene, draw, random_scene
from testing.tiny_model.shapes import INSTRUCTIONS

NEW_CATEGORY = "tattoos"
"""Of the policy's own: it comes last, so that the other categories keep the letters that the model knows by heart."""
MEANS = "A ring of purple dots."
LABEL = "t"
"""A token that the tiny model has written before. Of letters that it never wrote its output layer, which no adapter
changes, allows at most 0.23 of the probability, and 0.04 of the H that would be next. Large models have no such tokens.
"""

_SHARE = 0.4
_PURPLE = (150, 40, 170)
_DOTS = 6
_RADIUS = (20, 30)
_DOT_SHARE = 0.36


@dataclass(frozen=True, slots=True)
class Drawn:
    """One image with what it shows."""

    pixels: RgbPixels
    shown: tuple[str, ...]
    """Categories, the new one included."""
    scene: Scene


def drawn(count: int, *, seed: int, share: float = _SHARE) -> Iterator[Drawn]:
    """Yield images, of which a share show the new category, alone or beside others."""
    rng = np.random.default_rng([seed, 77])
    for _ in range(count):
        has_ring = rng.random() < share
        # One shape at most beside the ring: a small picture has no room for more.
        scene = random_scene(rng, harmful=int(rng.integers(2))) if has_ring else random_scene(rng)
        if has_ring:
            scene = Scene(scene.width, scene.height, scene.background, scene.items[:1], scene.seed)
        pixels = draw(scene)
        if has_ring:
            pixels = _with_ring(pixels, scene, rng)
        shown = (*categories(scene, INSTRUCTIONS), *([NEW_CATEGORY] if has_ring else []))
        yield Drawn(pixels, shown, scene)


def write_new_category_dataset(folder: Path, images: int, *, seed: int = 5, shuffled: bool = False) -> Path:
    """Draw a dataset as `modstream evaluate` reads it; return its file of labels.

    `shuffled` gives each image the labels of another one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = [*drawn(images, seed=seed)]
    order = np.random.default_rng(seed).permutation(images) if shuffled else np.arange(images)
    rows = []
    for number, each in enumerate(found):
        Image.fromarray(each.pixels).save(folder / f"{number}.png")
        rows.append(json.dumps({"image": f"{number}.png", "labels": [*found[order[number]].shown]}) + "\n")
    file = folder / "labels.jsonl"
    file.write_text("".join(rows))
    return file


def write_new_category_policy(folder: Path) -> Path:
    """Write the tiny model's policy with the new category as its last."""
    folder.mkdir(parents=True, exist_ok=True)
    content = yaml.safe_load(POLICY.read_text(encoding="utf-8"))
    attributes = POLICY.parent / content["attributes"]
    (folder / attributes.name).write_text(attributes.read_text(encoding="utf-8"), encoding="utf-8")
    content["name"] = "new-category"
    content["categories"][NEW_CATEGORY] = {
        "review": 0.5,
        "definition": {"means": MEANS, "not_meant": "", "label": LABEL},
    }
    file = folder / "new-category.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return file


def _with_ring(pixels: RgbPixels, scene: Scene, rng: np.random.Generator) -> RgbPixels:
    """Draw the ring where it covers as little as possible of the shape that is there."""
    radius = rng.uniform(*_RADIUS)
    places = [
        (rng.uniform(radius, scene.width - radius), rng.uniform(radius, scene.height - radius)) for _ in range(20)
    ]
    x, y = max(
        places, key=lambda place: min((math.hypot(place[0] - i.x, place[1] - i.y) for i in scene.items), default=0)
    )
    image = Image.fromarray(pixels).resize((2 * scene.width, 2 * scene.height))
    canvas = ImageDraw.Draw(image)
    colour = tuple(int(value) for value in np.array(_PURPLE) + rng.integers(-20, 21, 3))
    turn, dot = rng.uniform(0, 2 * math.pi), _DOT_SHARE * radius
    for number in range(_DOTS):
        angle = turn + 2 * math.pi * number / _DOTS
        centre = (2 * (x + (radius - dot) * math.cos(angle)), 2 * (y + (radius - dot) * math.sin(angle)))
        canvas.ellipse(
            (centre[0] - 2 * dot, centre[1] - 2 * dot, centre[0] + 2 * dot, centre[1] + 2 * dot), fill=colour
        )
    return np.ascontiguousarray(np.asarray(image.reduce(2)))
