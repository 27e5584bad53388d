import struct
from pathlib import Path

import pytest
from PIL import Image

from schemas.image_uploaded import ImageByUrlV1, ImageInlineV1
from service.tools.demo.samples import Sample, bundled_samples, folder_samples, png_bomb

PHOTOGRAPHS = Path(__file__).parents[4] / "service" / "tools" / "demo" / "photographs"


@pytest.fixture
def bundled(tmp_path: Path) -> list[Sample]:
    return bundled_samples(tmp_path)


def test_a_dozen_photographs_and_six_broken_ones_have_keys_of_their_own(bundled: list[Sample]) -> None:
    assert len(bundled) == 18
    assert len({sample.key for sample in bundled}) == 18
    assert sum(sample.event is None for sample in bundled) == 1


def test_photographs_go_in_both_ways(bundled: list[Sample]) -> None:
    kinds = [type(sample.event.image) for sample in bundled[:12] if sample.event]
    assert kinds.count(ImageInlineV1) == 6
    assert kinds.count(ImageByUrlV1) == 6


def test_the_bomb_is_small_valid_and_huge_when_unpacked() -> None:
    bomb = png_bomb(20_000)
    assert len(bomb) < 100_000
    assert struct.unpack(">II", bomb[16:24]) == (20_000, 20_000)


def test_a_bomb_of_harmless_size_opens(tmp_path: Path) -> None:
    (tmp_path / "small.png").write_bytes(png_bomb(100))
    with Image.open(tmp_path / "small.png") as image:
        image.load()
        assert image.size == (100, 100)


def test_a_folder_gives_its_images_and_those_of_its_sub_folders(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.webp", "deep/er/c.avif", "notes.txt", ".hidden/d.jpg", ".e.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"pixels")
    samples, unusable = folder_samples(tmp_path)
    assert [sample.key for sample in samples] == ["a.webp", "b.JPG", "deep/er/c.avif"]
    assert [sample.event.image_id for sample in samples if sample.event] == [sample.key for sample in samples]
    assert {each.name for each in unusable} == {".hidden", ".e.jpg", "notes.txt"}


def test_names_that_urls_cannot_hold_are_encoded(tmp_path: Path) -> None:
    (tmp_path / "100 % ünï#code?.png").write_bytes(b"pixels")
    ((sample,), _) = folder_samples(tmp_path)
    assert sample.event is not None
    assert isinstance(sample.event.image, ImageByUrlV1)
    assert sample.event.image.url.endswith("/100%20%25%20%C3%BCn%C3%AF%23code%3F.png")


@pytest.mark.parametrize("path", sorted(PHOTOGRAPHS.glob("*.jpg")), ids=lambda path: path.name)
def test_every_bundled_photograph_is_small_and_its_licence_is_listed(path: Path) -> None:
    assert path.stat().st_size <= 60_000
    with Image.open(path) as image:
        assert max(image.size) <= 640
    assert f"| `{path.name}` |" in (PHOTOGRAPHS / "LICENCES.md").read_text(encoding="utf-8")
