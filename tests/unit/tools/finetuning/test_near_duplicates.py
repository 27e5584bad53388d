"""Which pictures count as the same."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from service.tools.finetuning.near_duplicates import VISIBLE_DIFFERENCE, Signature, joined, near_duplicates, signature
from testing.tiny_model.scenes import draw, random_scene

PHOTOGRAPHS = sorted((Path(__file__).parents[4] / "service/tools/demo/photographs").glob("*.jpg"))


def looks(image: Image.Image) -> Signature:
    return signature(np.asarray(image.convert("RGB")))


@pytest.fixture(scope="module")
def photographs() -> list[Image.Image]:
    return [Image.open(path).convert("RGB") for path in PHOTOGRAPHS]


def test_different_photographs_are_in_groups_of_their_own(photographs: list[Image.Image]) -> None:
    assert near_duplicates([looks(image) for image in photographs]) == [*range(len(photographs))]


def test_a_copy_that_was_resized_or_brightened_is_in_the_group(photographs: list[Image.Image]) -> None:
    copies = [
        changed
        for image in photographs
        for changed in (
            image.resize((image.width // 3, image.height // 3)),
            ImageEnhance.Brightness(image).enhance(1.08),
            image.resize((300, 200)),
        )
    ]
    count = len(photographs)
    groups = near_duplicates([looks(image) for image in [*photographs, *copies]])
    assert groups[:count] == [*range(count)]
    assert groups[count:] == [place for place in range(count) for _ in range(3)]


def test_drawings_that_differ_in_a_shape_are_different() -> None:
    rng = np.random.default_rng(0)
    groups = near_duplicates([signature(draw(random_scene(rng))) for _ in range(100)])
    assert len(set(groups)) > 95


def test_pages_that_are_nearly_white_differ_by_what_stands_on_them() -> None:
    rng = np.random.default_rng(2)
    pages = [np.repeat(np.where(rng.random(100) < 0.5, 255, 225), 3).astype(np.uint8) for _ in range(50)]
    recompressed = [page - rng.integers(0, 4, 300).astype(np.uint8) for page in pages]
    assert near_duplicates([*pages, *recompressed]) == [*range(50), *range(50)]


def test_all_pairs_are_found_however_many_pictures_there_are() -> None:
    rng = np.random.default_rng(1)
    pictures = rng.integers(0, 256, (400, 300)).astype(np.uint8)
    shifted = np.clip(
        pictures.astype(int) + rng.integers(-VISIBLE_DIFFERENCE, VISIBLE_DIFFERENCE + 1, (400, 300)), 0, 255
    )
    groups = near_duplicates([*pictures, *shifted.astype(np.uint8)])
    assert groups == [*range(400), *range(400)]


def test_few_pictures_are_no_special_case() -> None:
    picture = np.zeros(300, dtype=np.uint8)
    assert near_duplicates([]) == []
    assert near_duplicates([picture]) == [0]
    assert near_duplicates([picture, picture, picture + 200]) == [0, 0, 2]


def test_an_equal_key_joins_groups() -> None:
    assert joined([0, 1, 2, 2], ["seller-1", "seller-2", "seller-1", None]) == [0, 1, 0, 0]
