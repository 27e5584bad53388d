import base64
import os
import socket
import subprocess
from pathlib import Path

import pytest

from service.client.upload_events import MAX_ID_CHARACTERS, UploadTargetError, find_uploads, image_id_of, inline


def reasons_of(*targets: Path | str) -> dict[str, str]:
    """Return why what cannot be used cannot be used, by its name."""
    return {each.name: each.reason for each in find_uploads(map(str, targets)).unusable}


def test_a_file_is_named_by_its_name_and_a_folder_by_paths_within(tmp_path: Path) -> None:
    for name in ("one.jpg", "deep/two.PNG", "deep/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"pixels")
    found = find_uploads([str(tmp_path / "one.jpg"), str(tmp_path)])
    assert [upload.image_id for upload in found.uploads] == ["one.jpg", "deep/two.PNG", "one.jpg"]
    assert [(each.name, each.is_expected) for each in found.unusable] == [("deep/notes.txt", True)]
    assert found.is_complete


def test_one_odd_file_never_keeps_the_others_from_being_found(tmp_path: Path) -> None:
    folder, outside = tmp_path / "pictures", tmp_path / "outside.jpg"
    (folder / "sub").mkdir(parents=True)
    for path in (folder / "good.jpg", outside, folder / "line\nbreak.jpg", folder / "sub" / "inner.png"):
        path.write_bytes(b"pixels")
    (folder / "empty.jpg").touch()
    os.mkfifo(folder / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket.jpg"))
    (folder / "link.jpg").symlink_to(outside)
    (folder / "inside.jpg").symlink_to(folder / "good.jpg")
    (folder / "nowhere.jpg").symlink_to("absent.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "null.jpg").symlink_to("/dev/null")
    (folder / "album").symlink_to(folder / "sub")
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.jpg")).write_bytes(b"pixels")
    found = find_uploads([str(folder)])
    assert [upload.image_id for upload in found.uploads] == ["good.jpg", "inside.jpg", "sub/inner.png"]
    assert not found.is_complete
    reported = reasons_of(folder)
    expected = {
        "album": "link to a folder",
        "empty.jpg": "empty",
        "line\nbreak.jpg": "line break",
        "link.jpg": "outside the folder",
        "loop.jpg": "cannot be read",
        "nowhere.jpg": "leads nowhere",
        "null.jpg": "device",
        "pipe.jpg": "named pipe",
        "socket.jpg": "socket",
        "\udcff.jpg": "not UTF-8",
    }
    assert reported.keys() == expected.keys()
    assert [name for name, part in expected.items() if part not in reported[name]] == []
    assert all("\n" not in str(each) for each in found.unusable)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_and_a_folder_without_the_right_to_read_are_reported(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    (tmp_path / "secret.jpg").write_bytes(b"pixels")
    (tmp_path / "secret.jpg").chmod(0)
    reported = reasons_of(tmp_path)
    assert "cannot be read" in reported["closed"]
    assert "no right" in reported["secret.jpg"]


@pytest.mark.parametrize("name", ["pipe.jpg", "empty.jpg", "absent.jpg", "bad\0name.jpg", "a" * 300])
def test_a_file_that_is_named_by_itself_is_checked_too(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "empty.jpg").touch()
    assert list(reasons_of(tmp_path / name)) == [str(tmp_path / name)]


def test_a_folder_as_deep_as_the_system_allows_is_read(tmp_path: Path) -> None:
    # Deeper than Python's limit of recursion.
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        for _ in range(1200):
            Path("d").mkdir()
            os.chdir("d")
        Path("deep.jpg").write_bytes(b"pixels")
        os.chdir(before)
        assert len(find_uploads([str(tmp_path)]).uploads) == 1
    finally:
        os.chdir(before)
        # Python's own removal of folders goes only as deep as its recursion.
        subprocess.run(["rm", "-r", tmp_path / "d"], check=True)


def test_hidden_files_are_reported_and_fail_no_command(tmp_path: Path) -> None:
    for name in (".hidden/d.jpg", ".e.jpg", "f.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"pixels")
    assert set(reasons_of(tmp_path)) == {".hidden", ".e.jpg"}
    assert find_uploads([str(tmp_path)]).is_complete


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
    (upload,) = find_uploads([url]).uploads
    assert (upload.image_id, upload.location) == (image_id, url)


@pytest.mark.parametrize("target", ["absent.jpg", "ftp://host/x.jpg", "https://", "https://[::1/x.jpg"])
def test_what_names_no_image_is_reported_and_the_others_are_taken(target: str) -> None:
    found = find_uploads([target, "https://cdn.example.com/42.jpg"])
    assert [each.name for each in found.unusable] == [target]
    assert len(found.uploads) == 1


def test_a_refused_url_is_reported_without_its_secrets() -> None:
    (reported,) = find_uploads(["ftp://user:secret@host/x.jpg?sig=secret"]).unusable
    assert "secret" not in str(reported)


def test_a_folder_without_images_is_reported(tmp_path: Path) -> None:
    assert "no image" in reasons_of(tmp_path)[str(tmp_path)]


@pytest.mark.parametrize("replaced_by", ["pipe", "empty"])
def test_a_file_that_was_replaced_since_it_was_found_is_refused_at_once(tmp_path: Path, replaced_by: str) -> None:
    path = tmp_path / "photo.jpg"
    os.mkfifo(path) if replaced_by == "pipe" else path.touch()
    with pytest.raises(UploadTargetError):
        inline(path)


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
