"""Files that are written whole or not at all."""

import contextlib
import glob
import os
import time
import uuid
from pathlib import Path

_PARTIAL = ".partial"
_IN_USE_S = 3_600.0
_NAME_CHARACTERS = 50
"""File systems end names at 255 bytes."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file; one of that name is replaced when the new one is complete and on the disk. Raises `OSError`.

    What is no regular file, such as `/dev/stdout`, is written to and not replaced.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        target.write_bytes(content)
        return
    _delete_leftovers(target)
    # Of this call alone, because another process may write the same file.
    partial = target.with_name(f".{target.name[:_NAME_CHARACTERS]}.{uuid.uuid4().hex}{_PARTIAL}")
    try:
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _delete_leftovers(target: Path) -> None:
    """Delete what processes that were killed left behind; what was written to in the last hour may be in use."""
    oldest_s = time.time() - _IN_USE_S
    for path in target.parent.glob(f".{glob.escape(target.name[:_NAME_CHARACTERS])}.*{_PARTIAL}"):
        with contextlib.suppress(OSError):
            if path.lstat().st_mtime < oldest_s:
                path.unlink()
