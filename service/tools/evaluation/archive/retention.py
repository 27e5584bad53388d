"""Deletes from an archive: images that are to be forgotten, and days that are too old."""

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date
from itertools import chain

from service.tools.evaluation.archive.forgotten import Forgotten, forget_rows
from service.tools.evaluation.archive.rows import empty_rows
from service.tools.evaluation.archive.writer import open_writer
from service.tools.evaluation.stored.archive_identity import identity_of
from service.tools.evaluation.stored.archive_layout import ROWS, TABLES, day_of
from service.tools.evaluation.stored.archive_store import ArchiveStore
from service.tools.evaluation.stored.errors import NoVerdictsError


def forget_images(
    store: ArchiveStore, tenant: str, image_ids: Collection[str], *, on_file: Callable[[str], None] = lambda name: None
) -> Mapping[str, int]:
    """Delete images of a tenant from every table, for good; return how many rows went, by table.

    A tombstone is written first, so that an archiver that runs keeps them out from then on, and an interrupted
    deletion is completed by calling this again. Raises `NoVerdictsError` where there is no archive.
    """
    forgotten = known_archive(store)
    forgotten.add(tenant, image_ids)
    return forget_rows(store, forgotten, lambda: _rows(store), folders=forgotten.refresh(), on_file=on_file)


def expire_days(store: ArchiveStore, before: date, *, on_file: Callable[[str], None] = lambda name: None) -> int:
    """Delete every file of the days before one; return how many.

    Files of the newest flush stay, without rows: a file that is missing would be written again.
    """
    known_archive(store)
    writer, count = open_writer(store), 0
    newest = frozenset(writer.newest.files if writer.newest else ())
    for name in _rows(store):
        if (day := day_of(name)) is None or day >= before:
            continue
        on_file(name)
        if name in newest:
            writer.replace(name, empty_rows(name.partition("/")[0]))
        else:
            store.delete(name)
        count += 1
    return count


def known_archive(store: ArchiveStore) -> Forgotten:
    """Return the tombstones of an archive; raise `NoVerdictsError` where there is none."""
    identity = identity_of(store)
    if identity is None:
        raise NoVerdictsError(place=store.place, detail="no archive of 'modstream archive' is there")
    return Forgotten(store, identity.salt)


def _rows(store: ArchiveStore) -> Iterator[str]:
    names = chain.from_iterable(store.names(f"{table}/") for table in TABLES)
    return (name for name in list(names) if ROWS.fullmatch(name))
