import base64
from pathlib import Path

import pytest

from service.uploads import MAX_ID_CHARACTERS, UploadTargetError, image_id_of, inline, uploads_of


def test_a_file_is_named_by_its_name_and_a_folder_by_paths_within(tmp_path: Path) -> None:
    for name in ("one.jpg", "deep/two.PNG", "deep/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    ids = [upload.image_id for upload in uploads_of([str(tmp_path / "one.jpg"), str(tmp_path)])]
    assert ids == ["one.jpg", "deep/two.PNG", "one.jpg"]


@pytest.mark.parametrize(
    ("url", "image_id"),
    [
        ("https://cdn.example.com/a/42.jpg", "cdn.example.com/a/42.jpg"),
        ("https://user:secret@cdn.example.com/42.jpg?X-Signature=secret#x", "cdn.example.com/42.jpg"),
        ("s3://uploads/2026/42.jpg", "uploads/2026/42.jpg"),
        ("file:///srv/42.jpg", "srv/42.jpg"),
    ],
)
def test_a_url_is_named_by_host_and_path_and_never_by_its_secrets(url: str, image_id: str) -> None:
    (upload,) = uploads_of([url])
    assert (upload.image_id, upload.location) == (image_id, url)


@pytest.mark.parametrize("target", ["absent.jpg", "ftp://host/x.jpg", "https://"])
def test_what_names_no_image_is_refused(target: str) -> None:
    with pytest.raises(UploadTargetError):
        list(uploads_of([target]))


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UploadTargetError, match="no image in"):
        list(uploads_of([str(tmp_path)]))


def test_a_long_name_keeps_its_end_and_stays_unique() -> None:
    first, second = image_id_of("a/" * 300 + "photo.jpg"), image_id_of("b/" * 300 + "photo.jpg")
    assert first != second
    assert {len(first), len(second)} == {MAX_ID_CHARACTERS}
    assert first.endswith("/photo.jpg")


def test_an_inline_image_holds_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "photo.webp"
    path.write_bytes(bytes(range(256)))
    image = inline(path)
    assert base64.b64decode(image.inline) == path.read_bytes()
    assert image.media_type == "image/webp"
