"""Images in files below the folder of `media.fetch.file_root`."""

import errno
import os
import stat
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import structlog

from service.media.errors import (
    FetchFailedError,
    ImageNotFoundError,
    ImageReferenceError,
    ImageTooLargeError,
    SchemeNotAllowedError,
)

log = structlog.get_logger(__name__)

# Without O_NONBLOCK a FIFO without a writer would hang the open; O_NOFOLLOW refuses what became a link since.
_OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC

# Said of the name alone, whatever the disk holds: too long, or a loop of links.
_NO_SUCH_NAME = {errno.ENAMETOOLONG, errno.ELOOP}

_NO_FILE = "it is no regular file"
_OUTSIDE = "the file lies outside media.fetch.file_root"


class FileReader:
    """Reads file:// references below its root. The calls block, so they run in a thread."""

    def __init__(self, root: Path | None, *, limit_bytes: int) -> None:
        self._named_root = root.absolute() if root else None
        self._limit_bytes = limit_bytes

    def read(self, url: str) -> bytes:
        """Return the file's bytes; raise `RejectedError`, or `FetchFailedError` when the disk fails."""
        if self._named_root is None:
            raise SchemeNotAllowedError(scheme="file", hint=" (media.fetch.file_root is not set)")
        path = parse_file_url(url)
        try:
            return self._read_below(self._named_root.resolve(), self._relative(path, self._named_root))
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            raise ImageNotFoundError(detail="no such file, or no right to read it") from None
        except OSError as error:
            if error.errno in _NO_SUCH_NAME:
                raise ImageNotFoundError(detail="no file can have that name") from None
            if error.errno == errno.ENXIO:  # a socket
                raise ImageReferenceError(detail=_NO_FILE) from None
            log.warning("image.file_unreadable", cause=error.strerror)
            raise FetchFailedError(detail="the file cannot be read") from None

    def _relative(self, path: PurePosixPath, root: Path) -> PurePosixPath:
        """Return the path below the root, before any look-up: an event cannot find out what exists elsewhere."""
        for beginning in (root, root.resolve()):
            if path.is_relative_to(beginning):
                return path.relative_to(beginning)
        raise ImageReferenceError(detail=_OUTSIDE)

    def _read_below(self, root: Path, relative: PurePosixPath) -> bytes:
        try:
            target = (root / relative).resolve(strict=True)
        except RuntimeError:  # a loop of symbolic links
            raise ImageNotFoundError(detail="the file's links lead nowhere") from None
        if not target.is_relative_to(root):
            raise ImageReferenceError(detail=_OUTSIDE)
        descriptor = _open_without_links(root, target.relative_to(root))
        try:
            return self._read_regular(descriptor)
        finally:
            os.close(descriptor)

    def _read_regular(self, descriptor: int) -> bytes:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ImageReferenceError(detail=_NO_FILE)
        if status.st_size > self._limit_bytes:
            raise ImageTooLargeError(limit_bytes=self._limit_bytes)
        # No more than that, though it may be growing.
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(status.st_size)


def parse_file_url(url: str) -> PurePosixPath:
    """Return the absolute path of a file URL as in RFC 8089, percent escapes decoded."""
    try:
        parts = urlsplit(url)
        path = unquote(parts.path, errors="strict")
        path.encode()  # half a surrogate pair can be no part of a name
    except ValueError:
        raise ImageReferenceError(detail="it is no valid file URL") from None
    if parts.netloc.lower() not in {"", "localhost"}:
        raise ImageReferenceError(detail="a file URL names no other host: file:///folder/name.jpg")
    if parts.query or parts.fragment:
        raise ImageReferenceError(detail="in file URLs, ? is written %3F and # is written %23")
    if not path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise ImageReferenceError(detail="a file URL holds an absolute path without ..")
    return PurePosixPath("/" + path.lstrip("/"))


def _open_without_links(root: Path, relative: Path) -> int:
    """Open a resolved path step by step, so that a folder replaced by a link since then leads nowhere."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in relative.parts[:-1]:
            inner = os.open(name, _OPEN_FLAGS | os.O_DIRECTORY, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(relative.name or ".", _OPEN_FLAGS, dir_fd=folder)
    finally:
        os.close(folder)
