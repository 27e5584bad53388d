"""Where the files of an archive lie: a folder, or a bucket of S3 or a compatible store.

A name is relative to the archive, with `/` between its parts. A file appears whole or not at all, and is on disk when
`put` returns: a folder gets it under a hidden temporary name, and then by `rename`; a bucket by one request.
"""

import contextlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import S3Store

from service.tools.evaluation.stored.errors import ArchiveUnreachableError

_S3 = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[^\x00-\x1f?#]*))?")
_TEMPORARY = ".tmp-"
_IN_USE_S = 3_600.0


class ArchiveStore(Protocol):
    """The files of one archive."""

    place: str
    """As messages name it."""

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yield the names of all files below a prefix that ends in `/`, hidden ones left out, in no order."""
        ...

    def fetched(self, name: str, folder: Path) -> Path | None:
        """Return a local path of a file, None if it is gone; one that lies elsewhere is copied into the folder."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return a small file; None if it does not exist."""
        ...

    def put(self, name: str, source: Path) -> None:
        """Copy a local file, over one that has the name already."""
        ...

    def create(self, name: str, source: Path) -> bool:
        """Copy a local file unless the name is taken; return whether this call took it."""
        ...

    def delete(self, name: str) -> None:
        """Delete a file; one that is gone is no error."""
        ...

    def sweep(self) -> None:
        """Delete temporary files of processes that were killed."""
        ...


def open_store(place: str) -> ArchiveStore:
    """Return the store for a folder or for s3://bucket/prefix, with credentials of the environment's AWS chain."""
    if not place.lower().startswith("s3://"):
        return FolderStore(Path(place))
    found = _S3.fullmatch(place)
    if found is None:
        detail = "s3://bucket/prefix has a valid name of a bucket, and no ? or # in the prefix"
        raise ArchiveUnreachableError(place=place, used="opened", detail=detail)
    return BucketStore(place, _s3(found["bucket"], (found["prefix"] or "").strip("/")))


class FolderStore:
    """An archive in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.place = str(root)

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yield the names of files; links are not followed."""
        for folder, folders, files in os.walk(self._root / prefix, onerror=self._fail):
            folders[:] = sorted(name for name in folders if not name.startswith((".", "_")))
            for name in sorted(files):
                if not name.startswith((".", "_")) and not (path := Path(folder, name)).is_symlink():
                    yield path.relative_to(self._root).as_posix()

    def fetched(self, name: str, folder: Path) -> Path | None:
        """Return the path of a file."""
        path = self._root / name
        return path if path.exists() else None

    def read(self, name: str) -> bytes | None:
        """Return a small file; None if it does not exist."""
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._error("read", error) from error

    def put(self, name: str, source: Path) -> None:
        """Copy a file under a temporary name beside its place, write it to disk, and rename it."""
        self._copy(name, source, lambda hidden, target: hidden.replace(target))

    def create(self, name: str, source: Path) -> bool:
        """Copy a file as `put` does, under a second name of it, which fails where the name is taken."""
        try:
            self._copy(name, source, lambda hidden, target: target.hardlink_to(hidden))
        except FileExistsError:
            return False
        return True

    def _copy(self, name: str, source: Path, publish: Callable[[Path, Path], object]) -> None:
        target = self._root / name
        hidden = target.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}")
        try:
            self._make_folder(target.parent)
            with source.open("rb") as read, hidden.open("wb") as written:
                shutil.copyfileobj(read, written)
                written.flush()
                os.fsync(written.fileno())
            publish(hidden, target)
            _sync(target.parent)
        except FileExistsError:
            raise
        except OSError as error:
            raise self._error("written", error) from error
        finally:
            with contextlib.suppress(OSError):
                hidden.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Delete what processes that were killed left under temporary names; those of the last hour may be in use."""
        oldest_s = time.time() - _IN_USE_S
        for folder, _, files in os.walk(self._root):
            for path in (Path(folder, name) for name in files if name.startswith(_TEMPORARY)):
                with contextlib.suppress(OSError):
                    if path.stat().st_mtime < oldest_s:
                        path.unlink()

    def delete(self, name: str) -> None:
        """Delete a file and write its folder to disk."""
        path = self._root / name
        try:
            path.unlink(missing_ok=True)
            if path.parent.exists():
                _sync(path.parent)
        except OSError as error:
            raise self._error("written", error) from error

    def _make_folder(self, folder: Path) -> None:
        """Make a folder whose name survives a power cut, and so those above it."""
        if not folder.is_dir():
            self._make_folder(folder.parent)
            folder.mkdir(exist_ok=True)
            _sync(folder.parent)

    def _fail(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise self._error("read", error) from error

    def _error(self, used: str, error: OSError) -> ArchiveUnreachableError:
        detail = f"{error.strerror or error} ({error.filename or self.place})"
        return ArchiveUnreachableError(place=self.place, used=used, detail=detail)


class BucketStore:
    """An archive in a bucket."""

    def __init__(self, place: str, store: Any) -> None:
        """`store` is one of obstore's, with the archive's prefix."""
        self._store = store
        self.place = place

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yield the names of objects."""
        try:
            for page in obstore.list(self._store, prefix=prefix.rstrip("/") or None):
                for entry in page:
                    if not any(part.startswith((".", "_")) for part in entry["path"].split("/")):
                        yield entry["path"]
        except (BaseError, OSError) as error:
            raise self._error("read", error) from error

    def fetched(self, name: str, folder: Path) -> Path | None:
        """Copy an object into the folder, piece by piece."""
        path = folder / name.replace("/", "%2F")
        try:
            with path.open("wb") as file:
                for piece in obstore.get(self._store, name):
                    file.write(piece)
        except (NotFoundError, FileNotFoundError):
            return None
        except (BaseError, OSError) as error:
            raise self._error("read", error) from error
        return path

    def read(self, name: str) -> bytes | None:
        """Return a small object; None if it does not exist."""
        try:
            return bytes(obstore.get(self._store, name).bytes())
        except (NotFoundError, FileNotFoundError):
            return None
        except (BaseError, OSError) as error:
            raise self._error("read", error) from error

    def put(self, name: str, source: Path) -> None:
        """Store an object; one that arrives in parts appears with the last of them."""
        try:
            obstore.put(self._store, name, source)
        except (BaseError, OSError) as error:
            raise self._error("written", error) from error

    def create(self, name: str, source: Path) -> bool:
        """Store an object on the condition that there is none of the name."""
        try:
            obstore.put(self._store, name, source.read_bytes(), mode="create")
        except AlreadyExistsError:
            return False
        except (BaseError, OSError) as error:
            raise self._error("written", error) from error
        return True

    def sweep(self) -> None:
        """Do nothing: an upload that was broken off has no name."""

    def delete(self, name: str) -> None:
        """Delete an object."""
        with contextlib.suppress(NotFoundError, FileNotFoundError):
            try:
                obstore.delete(self._store, name)
            except (NotFoundError, FileNotFoundError):
                raise
            except (BaseError, OSError) as error:
                raise self._error("written", error) from error

    def _error(self, used: str, error: Exception) -> ArchiveUnreachableError:
        hint = " (credentials and endpoint: the AWS_ variables)" if isinstance(error, BaseError) else ""
        detail = f"{str(error).strip().splitlines()[0][:300]}{hint}"
        return ArchiveUnreachableError(place=self.place, used=used, detail=detail)


def _s3(bucket: str, prefix: str) -> S3Store:
    """Return the store of a bucket; the AWS_ variables name region, endpoint and credentials."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    return S3Store(bucket, prefix=prefix or None, client_options={"allow_http": endpoint.lower().startswith("http://")})


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
