"""The file of API keys: read and checked as a whole."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import RootModel

from service.api.callers.access_errors import KeysFileError
from service.api.callers.api_keys import ApiKeys, KeyEntry
from service.core.documents import Checked, Document, parse_document, read_bounded
from service.core.errors import FatalError

MAX_KEYS = 1_000
"""Callers in greater numbers sign in at an identity provider: `api.jwt.issuer`."""


class _Entries(RootModel[tuple[KeyEntry, ...]]):
    """The file's content."""


def check_keys(path: Path) -> Checked[ApiKeys]:
    """Return the keys of a file, or every problem with it."""
    try:
        return check_content(path, read_content(path))
    except FatalError as problem:
        return Checked(None, (problem,))


def read_content(path: Path) -> bytes:
    """Return the bytes of a file of keys, or the first of a file that is too large."""
    try:
        return read_bounded(path)
    except OSError as error:
        raise KeysFileError(path=path, line=1, detail=f"the file cannot be read: {error.strerror}") from error


def check_content(path: Path, content: bytes) -> Checked[ApiKeys]:
    """Return the keys that a file's bytes hold, or every problem with them."""
    try:
        document = parse_document(path, content, KeysFileError)
    except FatalError as problem:
        return Checked(None, (problem,))
    return _checked(document)


def _checked(document: Document) -> Checked[ApiKeys]:
    if not isinstance(document.content, list):
        return Checked(None, (document.problem("the file is a list of keys, each '- id: …'; '[]' is none"),))
    if len(document.content) > MAX_KEYS:
        return Checked(None, (document.problem(f"these are more than {MAX_KEYS:,} keys"),))
    entries = document.check(_Entries)
    problems = (*entries.problems, *_repeated(document, document.content))
    if problems or entries.found is None:
        return Checked(None, problems)
    return Checked(ApiKeys({entry.id: entry for entry in entries.found.root}))


def _repeated(document: Document, content: Sequence[object]) -> Iterator[FatalError]:
    """Yield a problem for each id that an earlier entry has."""
    seen = set()
    for position, entry in enumerate(content):
        key_id = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(key_id, str):
            continue
        if key_id in seen:
            yield document.problem(f"another key has the id {key_id!r}", position, "id")
        seen.add(key_id)
