"""Files below one folder: whatever leads out of it, or is no file, is refused."""

import errno
import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from service.core.errors import RejectedError
from service.media.errors import (
    FetchFailedError,
    ImageNotFoundError,
    ImageReferenceError,
    ImageTooLargeError,
    SchemeNotAllowedError,
)
from service.media.fetch.files import FileReader

LIMIT = 1000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"inside")
    (tmp_path / "secret.jpg").write_bytes(b"outside")
    (tmp_path / "root-neighbour").mkdir()
    (tmp_path / "root-neighbour" / "b.jpg").write_bytes(b"outside")
    return folder


def read(root: Path | None, path: Path | str) -> bytes:
    return FileReader(root, limit_bytes=LIMIT).read(path if isinstance(path, str) else f"file://{path}")


def test_a_file_below_the_root_is_read(root: Path) -> None:
    assert read(root, root / "a.jpg") == b"inside"


@pytest.mark.parametrize(
    "form", ["file://{}/a.jpg", "FILE://{}/a.jpg", "file://localhost{}/a.jpg", "file:{}/a.jpg", "file://{}//./a.jpg"]
)
def test_a_file_url_has_several_forms(root: Path, form: str) -> None:
    assert read(root, form.format(root)) == b"inside"


@pytest.mark.parametrize("name", ["ü b.jpg", "100%.jpg", "a?b#c.jpg", "a+b.jpg", "%2e%2e"])
def test_names_are_percent_encoded(root: Path, name: str) -> None:
    (root / name).write_bytes(b"odd")
    assert read(root, (root / name).as_uri()) == b"odd"


def test_without_a_root_every_file_is_refused(root: Path) -> None:
    with pytest.raises(SchemeNotAllowedError, match=r"media\.fetch\.file_root is not set"):
        read(None, root / "a.jpg")


def test_the_root_may_be_a_link_and_files_named_by_either_path(root: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(root)
    assert read(link, link / "a.jpg") == read(link, root / "a.jpg") == read(root, root / "a.jpg")


def test_the_root_may_be_relative(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    assert read(Path("root"), root / "a.jpg") == b"inside"


@pytest.mark.parametrize("path", ["secret.jpg", "root-neighbour/b.jpg", "missing.jpg", "root/../secret.jpg", ""])
def test_what_lies_outside_is_refused_whether_it_exists_or_not(root: Path, path: str) -> None:
    with pytest.raises(ImageReferenceError):
        read(root, f"{root.parent}/{path}".replace("/..", "/%2e."))


@pytest.mark.parametrize(
    "url",
    [
        "file://host/a.jpg",
        "file:a.jpg",
        "file:",
        "file://",
        "file:///a?b",
        "file:///a#b",
        "file:///a%00b",
        "file:///%ff",
    ],
)
def test_other_urls_are_refused(root: Path, url: str) -> None:
    with pytest.raises(ImageReferenceError):
        read(root, url)


@pytest.mark.parametrize("name", ["missing.jpg", "a.jpg/b.jpg", "x" * 300, "no/such/folder.jpg"])
def test_a_missing_file_is_not_found(root: Path, name: str) -> None:
    with pytest.raises(ImageNotFoundError):
        read(root, root / name)


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.EACCES, ImageNotFoundError),
        (errno.EPERM, ImageNotFoundError),
        (errno.EIO, FetchFailedError),
        (errno.ESTALE, FetchFailedError),
        (errno.EMFILE, FetchFailedError),
    ],
)
def test_no_right_to_read_is_final_and_a_failing_disk_is_not(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    def failing_open(*_arguments: object, **_options: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", failing_open)
    with pytest.raises(error):
        read(root, root / "a.jpg")


class TestLinks:
    def test_a_link_inside_the_root_is_followed(self, root: Path) -> None:
        (root / "link.jpg").symlink_to("a.jpg")
        assert read(root, root / "link.jpg") == b"inside"

    @pytest.mark.parametrize(
        "target", ["../secret.jpg", "/etc/passwd", "../root-neighbour/b.jpg", "/proc/self/environ"]
    )
    def test_a_link_that_leaves_is_refused(self, root: Path, target: str) -> None:
        (root / "link.jpg").symlink_to(target)
        with pytest.raises(ImageReferenceError, match=r"outside media\.fetch\.file_root"):
            read(root, root / "link.jpg")

    def test_a_folder_that_is_a_link_elsewhere_is_refused(self, root: Path) -> None:
        (root / "folder").symlink_to("../root-neighbour")
        with pytest.raises(ImageReferenceError, match=r"outside media\.fetch\.file_root"):
            read(root, root / "folder" / "b.jpg")

    def test_a_loop_of_links_is_not_found(self, root: Path) -> None:
        (root / "link.jpg").symlink_to("link.jpg")
        with pytest.raises(ImageNotFoundError):
            read(root, root / "link.jpg")

    def test_a_link_that_appears_after_the_check_is_not_followed(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (root / "folder").mkdir()
        (root / "folder" / "b.jpg").write_bytes(b"inside")
        resolve = Path.resolve

        def resolve_then_swap(self: Path, strict: bool = False) -> Path:
            resolved = resolve(self, strict=strict)
            if self.name == "b.jpg":
                (root / "folder" / "b.jpg").unlink()
                (root / "folder").rmdir()
                (root / "folder").symlink_to("../root-neighbour")
            return resolved

        monkeypatch.setattr(Path, "resolve", resolve_then_swap)
        with pytest.raises(ImageNotFoundError):
            read(root, root / "folder" / "b.jpg")


class TestWhatIsNoFile:
    def test_a_fifo_does_not_hang(self, root: Path) -> None:
        os.mkfifo(root / "fifo.jpg")
        with pytest.raises(ImageReferenceError, match="no regular file"):
            read(root, root / "fifo.jpg")

    def test_a_folder_is_refused(self, root: Path) -> None:
        (root / "folder.jpg").mkdir()
        for path in (root / "folder.jpg", root):
            with pytest.raises(ImageReferenceError, match="no regular file"):
                read(root, path)

    def test_a_socket_is_refused(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(root)  # names of sockets are short
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("socket.jpg")
            with pytest.raises(ImageReferenceError, match="no regular file"):
                read(root, root / "socket.jpg")

    def test_a_device_is_refused(self) -> None:
        with pytest.raises(ImageReferenceError, match="no regular file"):
            read(Path("/dev"), "file:///dev/zero")


def test_the_limit_is_exact(root: Path) -> None:
    (root / "full.jpg").write_bytes(b"x" * LIMIT)
    (root / "over.jpg").write_bytes(b"x" * (LIMIT + 1))
    assert len(read(root, root / "full.jpg")) == LIMIT
    with pytest.raises(ImageTooLargeError):
        read(root, root / "over.jpg")


def test_no_descriptor_stays_open(root: Path) -> None:
    (root / "folder").mkdir()
    before = open_descriptors()
    for name in ("a.jpg", "folder", "missing.jpg", "a.jpg/x", "folder/missing.jpg"):
        with suppress(RejectedError):
            read(root, root / name)
    assert open_descriptors() == before


def open_descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}
