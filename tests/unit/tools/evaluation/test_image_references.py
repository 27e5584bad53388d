"""References of images in a file."""

from dataclasses import replace
from pathlib import Path

import pytest

from schemas.image_uploaded import ImageByUrlV1
from service.core.errors import RejectedError
from service.media.fetch.files import FileReader
from service.settings.settings import Settings
from service.tools.evaluation.images.image_references import (
    ImageSought,
    ImagesUnreadableError,
    image_references,
    references_of_file,
)
from service.tools.evaluation.images.upload_events import Place

A = ImageSought("a", "shop", "", Place("uploads", 0, 0))
LINE = '{"image_id": "a", "tenant": "shop", "image": {"url": "https://example.org/a.jpg"}, "context": {}}\n'


def test_a_file_of_upload_events_names_the_images_that_are_sought(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(LINE + "\n" + LINE.replace('"a"', '"b"') + LINE.replace("shop", "another"))
    assert references_of_file(path, [A]) == {A: ImageByUrlV1(url="https://example.org/a.jpg")}


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("no JSON", "line 2: expected ident"),
        ('{"image_id": "a", "tenant": "shop"}', "line 2: image: Field required"),
        ('{"image_id": "a", "image": {"url": "https://x"}}', "line 2: tenant: Field required"),
        ("[1]", "line 2: Input should be an object"),
        ("\0\0", "line 2"),
    ],
)
def test_a_line_that_is_none_is_named(tmp_path: Path, text: str, detail: str) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(LINE + text)
    with pytest.raises(ImagesUnreadableError, match=detail):
        references_of_file(path, [A])


async def test_a_folder_has_the_images_whose_ids_are_paths_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "judged images"
    (folder / "shop").mkdir(parents=True)
    (folder / "shop" / "a b.jpg").write_bytes(b"inside")
    (tmp_path / "outside.jpg").write_bytes(b"outside")
    ids = ["shop/a b.jpg", "../outside.jpg", str(tmp_path / "outside.jpg"), "gone.jpg"]
    inside, *others = (replace(A, image_id=each) for each in ids)
    found, media = await image_references(str(folder), Settings(), [inside, *others])
    reader = FileReader(media.fetch.file_root, limit_bytes=100)

    def read(image: ImageSought) -> bytes:
        reference = found[image]
        assert isinstance(reference, ImageByUrlV1)
        return reader.read(reference.url)

    assert read(inside) == b"inside"
    for each in others:
        with pytest.raises(RejectedError):
            read(each)
