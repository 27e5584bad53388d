"""Small pictures of stored images, by the real fetcher and the real decoders."""

import base64
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from schemas.image_uploaded import ImageByUrlV1, ImageInlineV1
from service.settings.media import DecodeSettings, FetchSettings, MediaSettings
from service.tools.evaluation.images.thumbnails import Thumbnail, thumbnails
from tests.unit.media.image_files import BLUE, RED, animation, encoded, plain

PNG = encoded(plain(RED), "PNG")


@dataclass(frozen=True)
class Judged:
    """An image as a verdict names it."""

    name: str
    sha256: str


@pytest.fixture
def settings(tmp_path: Path) -> MediaSettings:
    return MediaSettings(fetch=FetchSettings(file_root=tmp_path), decode=DecodeSettings(workers=1))


def judged(path: Path, data: bytes) -> tuple[Judged, ImageByUrlV1]:
    path.write_bytes(data)
    return Judged(path.name, hashlib.sha256(data).hexdigest()), ImageByUrlV1(url=path.as_uri())


def picture_of(thumbnail: Thumbnail) -> Image.Image:
    assert thumbnail.picture is not None, thumbnail.missing
    kind, _, data = thumbnail.picture.partition(",")
    assert kind == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


async def test_images_become_small_pictures_and_what_is_gone_says_why(tmp_path: Path, settings: MediaSettings) -> None:
    large = encoded(plain(RED).resize((1200, 600)), "PNG")
    references = dict([judged(tmp_path / "large.png", large), judged(tmp_path / "broken.png", b"GIF89a no image")])
    references[Judged("missing", "")] = ImageByUrlV1(url=(tmp_path / "missing.png").as_uri())
    references[Judged("replaced", "0" * 64)] = ImageByUrlV1(url=(tmp_path / "large.png").as_uri())
    references[Judged("private", "")] = ImageByUrlV1(url="http://169.254.169.254/latest/meta-data")
    progress: list[tuple[int, int]] = []

    found = await thumbnails(references, settings, on_progress=lambda done, total: progress.append((done, total)))

    by_name = {image.name: thumbnail for image, thumbnail in found.items()}
    picture = picture_of(by_name.pop("large.png"))
    assert picture.width // 2 == picture.height
    assert picture.width * picture.height <= 240 * 180
    assert {name: thumbnail.missing for name, thumbnail in by_name.items()} == {
        "broken.png": "gone: image.corrupt",
        "missing": "gone: image.not_found",
        "replaced": "gone: another file is there now",
        "private": "gone: image.address_not_allowed",
    }
    assert progress[-1] == (5, 5)


async def test_an_image_inside_its_event_shows_every_frame_that_was_judged(settings: MediaSettings) -> None:
    data = animation("GIF", [RED, BLUE])
    inline = ImageInlineV1(inline=base64.b64encode(data).decode(), media_type="image/gif")

    (thumbnail,) = (await thumbnails({Judged("a", hashlib.sha256(data).hexdigest()): inline}, settings)).values()

    picture = picture_of(thumbnail).convert("RGB")
    left, right = (picture.crop((x, 0, x + 1, 1)).tobytes() for x in (2, picture.width - 3))
    assert left[0] > 200 > left[2]
    assert right[2] > 200 > right[0]


async def test_a_report_waits_for_images_no_longer_than_its_limit(tmp_path: Path, settings: MediaSettings) -> None:
    references = dict([judged(tmp_path / "a.png", PNG)])
    found = await thumbnails(references, settings, max_time_s=0)
    assert [thumbnail.missing for thumbnail in found.values()] == ["not fetched within 0 s"]


async def test_a_report_takes_no_more_bytes_than_its_limit(tmp_path: Path, settings: MediaSettings) -> None:
    references = dict(judged(tmp_path / f"{number}.png", PNG) for number in range(30))
    found = await thumbnails(references, settings, max_fetched_bytes=len(PNG))
    missing = [thumbnail.missing for thumbnail in found.values() if thumbnail.missing]
    assert 0 < len(missing) < 30
    assert all("took all bytes" in each for each in missing)
