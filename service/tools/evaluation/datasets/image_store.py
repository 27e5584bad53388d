"""Image files by their SHA-256, below a folder: what was fetched once is not fetched again."""

import hashlib
import os
import re
import tempfile
from pathlib import Path

_SHA256 = re.compile("[0-9a-f]{64}")


class ImageStore:
    """A folder of image files, each named by the SHA-256 of its content."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, sha256: str) -> Path | None:
        """Return the file of this content; None if there is none."""
        path = self._path(sha256)
        return path if path.is_file() else None

    def keep(self, data: bytes | bytearray) -> tuple[str, Path]:
        """Keep a content, and return its SHA-256 and its file; raises `OSError`.

        The file appears under its name when it is complete, so that no half of one is ever found.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        path = self._path(sha256)
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, data)
        return sha256, path

    def _path(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise ValueError(sha256)
        return self._folder / sha256[:2] / sha256


def _write(path: Path, data: bytes | bytearray) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
