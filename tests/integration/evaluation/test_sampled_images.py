"""The images of a sample as thumbnails, by the real fetcher and the real decoders."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from service.settings.media import DecodeSettings, FetchSettings, MediaSettings
from service.settings.settings import Settings
from service.tools.evaluation.images.image_references import ImagesUnreadableError
from service.tools.evaluation.images.upload_events import Place
from service.tools.evaluation.sampling.label_sheet import SampledImage
from service.tools.evaluation.sampling.sampled_images import place_of, sampled_thumbnails
from tests.unit.media.image_files import RED, encoded, plain

PNG = encoded(plain(RED), "PNG")
JUDGED = SampledImage(
    1, 3, 90, "judged", "shop", hashlib.sha256(PNG).hexdigest(), "uploads:0:1", "", "allow", "weapons", 0.1, "",
    "allowed", 9, 3,
)  # fmt: skip
REPLACED = replace(JUDGED, row=2, image_id="replaced", sha256="0" * 64)
UNKNOWN = replace(JUDGED, row=3, image_id="unknown")


def test_images_are_found_by_a_file_of_upload_events(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(PNG)
    events = tmp_path / "uploads.jsonl"
    image = {"url": (tmp_path / "image.png").as_uri()}
    names = ("judged", "replaced")
    events.write_text("\n".join(json.dumps({"image_id": each, "tenant": "shop", "image": image}) for each in names))
    media = MediaSettings(fetch=FetchSettings(file_root=tmp_path), decode=DecodeSettings(workers=1))

    found = sampled_thumbnails([JUDGED, REPLACED, UNKNOWN], str(events), Settings(media=media))

    assert (found[JUDGED].picture or "").startswith("data:image/webp;base64,")
    assert (found[REPLACED].picture, found[REPLACED].missing) == (None, "gone: another file is there now")
    assert found[UNKNOWN].missing == "No upload event says where the image is"


def test_a_file_that_holds_no_upload_events_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "uploads.jsonl").write_text("image\n")
    with pytest.raises(ImagesUnreadableError, match="line 1"):
        sampled_thumbnails([JUDGED], str(tmp_path / "uploads.jsonl"), Settings())


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("images.uploaded:3:17", Place("images.uploaded", 3, 17)),
        ("a:b:3:17", Place("a:b", 3, 17)),
        ("", Place("", 0, 0)),
        ("images.uploaded", Place("", 0, 0)),
        ("images.uploaded:x:17", Place("", 0, 0)),
        ("images.uploaded:3:" + "9" * 30, Place("", 0, 0)),
    ],
)
def test_a_row_names_the_place_of_its_upload_event(source: str, place: Place) -> None:
    assert place_of(source) == place
