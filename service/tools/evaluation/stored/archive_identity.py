"""What an archive says of itself: the version of its schema, and the salt of its tombstones."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from service.tools.evaluation.stored.archive_errors import ArchiveDamagedError
from service.tools.evaluation.stored.archive_layout import IDENTITY, TABLES, VERSION
from service.tools.evaluation.stored.archive_store import ArchiveStore
from service.tools.evaluation.stored.errors import ArchiveUnreachableError, ArchiveVersionError


class Identity(BaseModel):
    """What `archive.json` holds."""

    model_config = ConfigDict(frozen=True)

    version: str
    salt: str


def identity_of(store: ArchiveStore) -> Identity | None:
    """Return what an archive says of itself, None where there is no archive; raise `ArchiveVersionError`."""
    content = store.read(IDENTITY)
    if content is None:
        return None
    try:
        found = Identity.model_validate_json(content)
    except ValidationError as error:
        raise ArchiveDamagedError(place=store.place, detail=f"{IDENTITY} is not what it was written as") from error
    if found.version != VERSION:
        raise ArchiveVersionError(place=store.place, found=found.version[:40], known=VERSION)
    return found


def begin(store: ArchiveStore) -> Identity:
    """Begin an archive where there is none; raise `ArchiveDamagedError` where one has lost its identity."""
    for table in TABLES:
        if next(store.names(f"{table}/"), None) is not None:
            raise ArchiveDamagedError(place=store.place, detail=f"it has rows in {table}/ and no {IDENTITY}")
    identity = Identity(version=VERSION, salt=secrets.token_hex(16))
    with file_with(identity.model_dump_json().encode()) as path:
        if not store.create(IDENTITY, path):
            return identity_of(store) or identity
        if store.create(IDENTITY, path):  # the claims of flushes rest on it
            store.delete(IDENTITY)
            detail = "the store replaces an object although the request says If-None-Match, so archivers would collide"
            raise ArchiveUnreachableError(place=store.place, used="written", detail=detail)
    return identity


@contextmanager
def file_with(content: bytes) -> Iterator[Path]:
    """Yield the path of a temporary file."""
    with tempfile.TemporaryDirectory(prefix="modstream-archive-") as temporary:
        (path := Path(temporary, "content")).write_bytes(content)
        yield path
