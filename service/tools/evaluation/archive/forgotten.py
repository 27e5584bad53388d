"""Images that were forgotten: what keeps them out of an archive, also when their records are read again.

A tombstone holds the tenant's folder and salted hashes of image ids, never an id: who knows an id can ask whether it
was forgotten, and the file alone does not give ids away.
"""

import hashlib
import json
import tempfile
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from service.tools.evaluation.archive.row_files import write_rows
from service.tools.evaluation.archive.rows import ArchivedRow
from service.tools.evaluation.stored.archive_errors import ArchiveDamagedError
from service.tools.evaluation.stored.archive_layout import ENDING, FORGOTTEN, TABLES, tenant_folder
from service.tools.evaluation.stored.archive_store import ArchiveStore


class _Tombstone(BaseModel):
    """One file of `forgotten/`."""

    model_config = ConfigDict(frozen=True)

    folder: str
    hashes: tuple[str, ...]


class Forgotten:
    """The tombstones of an archive, as they were when they were read last."""

    def __init__(self, store: ArchiveStore, salt: str) -> None:
        self._store = store
        self._salt = salt
        self._seen: frozenset[str] = frozenset()
        self._hashes: dict[str, frozenset[str]] = {}

    def add(self, tenant: str, image_ids: Iterable[str]) -> None:
        """Write a tombstone."""
        folder = tenant_folder(tenant)
        stone = _Tombstone(folder=folder, hashes=tuple(sorted({self._hash(folder, each) for each in image_ids})))
        with tempfile.TemporaryDirectory(prefix="modstream-archive-") as temporary:
            (path := Path(temporary, "stone")).write_text(stone.model_dump_json())
            self._store.put(f"{FORGOTTEN}{uuid.uuid4().hex}.json", path)

    def refresh(self) -> frozenset[str]:
        """Read tombstones that are new; return the folders of their tenants."""
        names = frozenset(self._store.names(FORGOTTEN))
        new = [self._read(name) for name in sorted(names - self._seen)]
        for stone in new:
            self._hashes[stone.folder] = self._hashes.get(stone.folder, frozenset()) | frozenset(stone.hashes)
        self._seen = names
        return frozenset(stone.folder for stone in new)

    @property
    def folders(self) -> frozenset[str]:
        """The folders of tenants that have forgotten images."""
        return frozenset(self._hashes)

    def holds(self, row: ArchivedRow) -> bool:
        """Return whether a row must not be kept."""
        return self.holds_image(row.folder, row.row["image_id"])

    def holds_image(self, folder: str, image_id: str | None) -> bool:
        """Return whether an image is forgotten; `folder` ends in that of the tenant, with a `/`."""
        tenant = folder.rstrip("/").rpartition("/")[2]
        hashes = self._hashes.get(tenant)
        return hashes is not None and image_id is not None and self._hash(tenant, image_id) in hashes

    def _hash(self, folder: str, image_id: str) -> str:
        return hashlib.sha256(json.dumps([self._salt, folder, image_id]).encode()).hexdigest()

    def _read(self, name: str) -> _Tombstone:
        try:
            return _Tombstone.model_validate_json(self._store.read(name) or b"")
        except ValidationError as error:
            raise ArchiveDamagedError(place=self._store.place, detail=f"{name} is no tombstone") from error


def forget_rows(
    store: ArchiveStore,
    forgotten: Forgotten,
    names: Callable[[], Iterable[str]],
    *,
    folders: frozenset[str],
    on_file: Callable[[str], None] = lambda name: None,
) -> Mapping[str, int]:
    """Rewrite the files of some tenants without forgotten images; return how many rows went, by table.

    Another process may rewrite a file at the same moment by fewer tombstones. So this goes on until there are no new
    ones: the process that ends last has applied all.
    """
    gone: dict[str, int] = dict.fromkeys(TABLES, 0)
    while folders:
        for name in names():
            if name.split("/")[-2] in folders and name.endswith(ENDING):
                on_file(name)
                gone[name.split("/")[0]] += _forget_in(store, forgotten, name)
        folders = forgotten.refresh()
    return gone


def _forget_in(store: ArchiveStore, forgotten: Forgotten, name: str) -> int:
    with tempfile.TemporaryDirectory(prefix="modstream-archive-") as temporary:
        path = store.fetched(name, Path(temporary))
        if path is None:
            return 0
        with pq.ParquetFile(path) as file:
            ids, folder = pc.unique(file.read(["image_id"])["image_id"]).to_pylist(), name.rpartition("/")[0]
            found = [image_id for image_id in ids if forgotten.holds_image(folder, image_id)]
            if not found:
                return 0
            rows = file.read()
        stays = pc.invert(pc.fill_null(pc.is_in(rows["image_id"], pa.array(found, pa.string())), fill_value=False))
        kept = rows.filter(stays)
        write_rows(store, name, kept)
        return int(rows.num_rows - kept.num_rows)
