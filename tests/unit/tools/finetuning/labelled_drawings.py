"""Folders of drawn images with their labels, for tests of what is prepared from them."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from testing.tiny_model.answers import categories, right_tags
from testing.tiny_model.scenes import Scene, draw, random_scene
from testing.tiny_model.shapes import INSTRUCTIONS


def draw_labelled(folder: Path, count: int, *, harmful: int = 1) -> Sequence[Scene]:
    """Draw images, every other one with shapes of harm, and write `labels.jsonl` beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    scenes = [random_scene(rng, harmful=harmful if number % 2 else 0, size=(128, 128)) for number in range(count)]
    with (folder / "labels.jsonl").open("w") as file:
        for number, scene in enumerate(scenes):
            Image.fromarray(draw(scene)).save(folder / f"{number}.png")
            tags = {name: list(values) for name, values in right_tags(scene, INSTRUCTIONS).items()}
            labels = list(categories(scene, INSTRUCTIONS)) or ["none"]
            file.write(json.dumps({"image": f"{number}.png", "labels": labels, "tags": tags}) + "\n")
    return scenes


def review(
    folder: Path, image: str, decisions: dict[str, str], reviewer: str = "a", **fields: object
) -> dict[str, object]:
    """Return what a reviewer decided about an image of a folder."""
    return {
        "image_id": image,
        "image": image,
        "sha256": hashlib.sha256((folder / image).read_bytes()).hexdigest(),
        "policy": {"name": "shapes", "version": "1", "hash": "h"},
        "decisions": decisions,
        "reviewer": reviewer,
        "decided_at": "2026-03-01T12:00:00Z",
    } | fields


def write_reviews(path: Path, rows: Sequence[object]) -> Path:
    """Write reviews as JSON lines; a text is written as it is."""
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path
