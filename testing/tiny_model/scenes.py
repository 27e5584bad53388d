"""Drawn images: what is on them, by chance, and their pixels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from service.core.pixels import RgbPixels
from testing.tiny_model.shapes import BACKGROUNDS, HARMFUL, HARMLESS, Background, Colour, Kind, Shape

# Sides that the decode pool leaves as they are; many small ones, because training pays by the pixel.
SIDES = (128, 128, 128, 160, 160, 192, 256)
_RGB: dict[Colour, tuple[int, int, int]] = {
    "red": (215, 35, 40),
    "blue": (40, 60, 215),
    "green": (30, 160, 60),
    "yellow": (235, 200, 30),
}
_GREY: dict[Background, tuple[int, int]] = {"light": (190, 250), "dark": (10, 75)}
# Corners, by how far from the centre each is, and the share of the radius that it has.
_CORNERS: dict[Shape, tuple[float, ...]] = {
    "triangle": (1.0,) * 3,
    "square": (1.1,) * 4,
    "star": (1.15, 0.32) * 4,
}
# Of a circle, by its radius: a filled one is much like a square to a model this small.
_STROKE = 0.4
# In pixels: large enough for the edges to show in patches of 16, and of much the same size, as pictures of goods are.
_RADIUS = (23.0, 38.0)
_ATTEMPTS = 30


@dataclass(frozen=True, slots=True)
class Item:
    """One shape; lengths in pixels, the angle in radians."""

    kind: Kind
    x: float
    y: float
    radius: float
    angle: float


@dataclass(frozen=True, slots=True)
class Scene:
    """An image to be drawn."""

    width: int
    height: int
    background: Background
    items: tuple[Item, ...]
    seed: int
    """Of shades and noise."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What is drawn."""
        return tuple(item.kind for item in self.items)


def draw(scene: Scene) -> RgbPixels:
    """Return the pixels of a scene, with soft edges, uneven shades and some noise."""
    rng = np.random.default_rng(scene.seed)
    low, high = _GREY[scene.background]
    ground = rng.integers(low, high) + rng.integers(-5, 6, 3)
    image = Image.new("RGB", (2 * scene.width, 2 * scene.height), _rgb(ground))
    canvas = ImageDraw.Draw(image)
    for item in scene.items:
        _draw(canvas, item, _rgb(np.array(_RGB[item.kind[0]]) + rng.integers(-20, 21, 3)))
    smooth = np.asarray(image.reduce(2), np.float32)
    grain = rng.standard_normal((scene.height, scene.width, 1), np.float32) * rng.uniform(0, 14)
    return np.ascontiguousarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))


def _draw(canvas: ImageDraw.ImageDraw, item: Item, colour: tuple[int, ...]) -> None:
    x, y, radius = 2 * item.x, 2 * item.y, 2 * item.radius
    shape = item.kind[1]
    if shape == "circle":
        box = (x - radius, y - radius, x + radius, y + radius)
        canvas.ellipse(box, outline=colour, width=round(_STROKE * radius))
        return
    shares = _CORNERS[shape]
    turn = 2 * math.pi / len(shares)
    start = item.angle + (turn / 2 if shape == "square" else 0) - math.pi / 2
    points = [
        (x + share * radius * math.cos(start + turn * place), y + share * radius * math.sin(start + turn * place))
        for place, share in enumerate(shares)
    ]
    canvas.polygon(points, fill=colour)


def _rgb(values: np.ndarray) -> tuple[int, ...]:
    return tuple(int(value) for value in np.clip(values, 0, 255))


def random_scene(
    rng: np.random.Generator,
    *,
    harmful: int | None = None,
    size: tuple[int, int] | None = None,
    harmless: Sequence[Kind] = HARMLESS,
) -> Scene:
    """Return a scene with so many harmful shapes (by chance none, one or two), and up to three shapes in all.

    `harmless` are the others that may be there; a kind that stands there twice comes more often.
    """
    width, height = size or random_size(rng)
    found = int(rng.choice(3, p=(0.4, 0.38, 0.22))) if harmful is None else harmful
    kinds = [tuple(HARMFUL.values())[place] for place in rng.permutation(len(HARMFUL))[:found]]
    others = int(rng.integers(0 if found else 1, 4 - found)) if found or rng.random() > 0.04 else 0
    kinds += list(dict.fromkeys(harmless[place] for place in rng.permutation(len(harmless))))[:others]
    background = BACKGROUNDS[rng.integers(2)]
    return Scene(width, height, background, place_items(rng, kinds, (width, height)), int(rng.integers(2**31)))


def random_size(rng: np.random.Generator) -> tuple[int, int]:
    """Return a width and a height in pixels."""
    return int(rng.choice(SIDES)), int(rng.choice(SIDES))


def place_items(rng: np.random.Generator, kinds: Sequence[Kind], size: tuple[int, int]) -> tuple[Item, ...]:
    """Lay shapes out so that none touches another or the edge."""
    while True:
        items: list[Item] = []
        for kind in kinds:
            items += _placed(rng, kind, size, items)
        if len(items) == len(kinds):
            return tuple(items[place] for place in rng.permutation(len(items)))


def _placed(rng: np.random.Generator, kind: Kind, size: tuple[int, int], items: Sequence[Item]) -> list[Item]:
    for _ in range(_ATTEMPTS):
        radius = rng.uniform(*_RADIUS)
        x, y = (rng.uniform(radius, side - radius) for side in size)
        if all(math.hypot(x - item.x, y - item.y) > 1.1 * (radius + item.radius) for item in items):
            return [Item(kind, x, y, radius, rng.uniform(-0.15, 0.15))]
    return []
