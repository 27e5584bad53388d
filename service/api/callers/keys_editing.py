"""Changes of a keys file: all else in it, comments among it, stays as the operator wrote it."""

import fcntl
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import yaml

from service.api.callers.access_errors import KeysFileError
from service.api.callers.api_keys import ApiKeys, KeyEntry
from service.api.callers.keys_file import check_content, read_content
from service.core import yaml_text
from service.core.errors import FatalError

_MODE = 0o600
"""Of a new file. It holds no keys, but who may add one may call."""


class KeysEditError(FatalError):
    """A keys file cannot be changed as wanted."""

    reason = "access.keys_not_changed"
    message = "{path}: {detail}"


def entry_yaml(entry: KeyEntry) -> str:
    """Return an entry as the lines of a keys file."""
    values = entry.model_dump(mode="json", exclude_none=True)
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    return "".join(f"{'- ' if not position else '  '}{line}\n" for position, line in enumerate(lines))


def add_key(path: Path, entry: KeyEntry) -> None:
    """Add a key to a file, which is made if it is missing; raises `KeysFileError` or `KeysEditError`."""
    with _locked(path):
        text = _text_of(path) if path.exists() else ""
        known = _keys_in(path, text)
        if entry.id in known:
            raise KeysEditError(path=path, detail=f"another key has the id {entry.id}: choose one that is free")
        _write_checked(path, _with_entry(text, entry), {**known, entry.id: entry})


def revoke_key(path: Path, key_id: str, now: datetime) -> None:
    """Mark a key as revoked; raises `KeysFileError` or `KeysEditError`."""
    with _locked(path):
        text = _text_of(path)
        known = _keys_in(path, text)
        entry = known.get(key_id)
        if entry is None:
            raise KeysEditError(path=path, detail=f"no key has the id {key_id}: 'modstream keys list' shows all")
        if entry.revoked is not None:
            raise KeysEditError(path=path, detail=f"{key_id} is revoked already, since {entry.revoked.isoformat()}")
        revoked = entry.model_copy(update={"revoked": now.replace(microsecond=0)})
        _write_checked(path, _with_revocation(text, revoked), {**known, key_id: revoked})


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one command at a time change the files of a folder."""
    folder = os.open(path.resolve().parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _keys_in(path: Path, text: str) -> Mapping[str, KeyEntry]:
    """Return the keys of a file's text, which may have comments alone."""
    is_empty = all(line.lstrip().startswith("#") for line in text.splitlines() if line.strip())
    return {} if is_empty else check_content(path, text.encode()).result().by_id


def _with_entry(text: str, entry: KeyEntry) -> str:
    """Return the text with an entry at its end; an empty list in brackets is replaced."""
    root = yaml_text.compose(text)
    lines = entry_yaml(entry)
    if root is None or not root.value:
        before = text if root is None else text[: root.start_mark.index] + text[root.end_mark.index :]
        return _ended(before) + lines
    indent = " " * root.start_mark.column
    return _ended(text) + re.sub("^", indent, lines.rstrip("\n"), flags=re.MULTILINE) + "\n"


def _ended(text: str) -> str:
    return text if not text.strip("\n") or text.endswith("\n") else f"{text}\n"


def _with_revocation(text: str, entry: KeyEntry) -> str:
    """Return the text with a line after an entry's id, or a field more where the entry is in braces."""
    node, key_id = _places_of(text, entry.id)
    field = f"revoked: {json.dumps(entry.model_dump(mode='json')['revoked'])}"
    if node.flow_style:
        start = node.start_mark.index + 1
        return f"{text[:start]}{field}, {text[start:]}"
    end = text.find("\n", key_id.end_mark.index)
    end = len(text) if end < 0 else end
    indent = " " * node.value[0][0].start_mark.column
    return f"{text[:end]}\n{indent}{field}{text[end:]}"


def _places_of(text: str, key_id: str) -> tuple[yaml.MappingNode, yaml.Node]:
    """Return an entry, and the value of its id."""
    root = yaml_text.compose(text)
    for entry in root.value if root is not None else ():
        for name, value in entry.value:
            if name.value == "id" and value.value == key_id:
                return entry, value
    raise LookupError(key_id)


def _text_of(path: Path) -> str:
    try:
        return read_content(path).decode()
    except UnicodeDecodeError as error:
        raise KeysFileError(path=path, line=1, detail="the file is no YAML text in UTF-8") from error


def _write_checked(path: Path, text: str, expected: Mapping[str, KeyEntry]) -> None:
    """Replace a file if its new text says what is expected, and nothing else."""
    checked = check_content(path, text.encode())
    if checked.found != ApiKeys(expected):
        detail = "the list is written in a way that this command does not change: edit it by hand"
        raise KeysEditError(path=path, detail=detail)
    _replace(path, text)


def _replace(path: Path, text: str) -> None:
    """Write a file at once or not at all; it keeps its mode and owner, and a link stays a link."""
    path = path.resolve()
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".keys-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            _copy_rights(path, descriptor)
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:  # a cancellation, too, leaves no half-written file
        Path(name).unlink(missing_ok=True)
        raise


def _copy_rights(path: Path, descriptor: int) -> None:
    try:
        present = path.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, _MODE)
        return
    with suppress(PermissionError):  # who may write the folder, and is not the file's owner, becomes it
        os.fchown(descriptor, present.st_uid, present.st_gid)
    os.fchmod(descriptor, present.st_mode & 0o777)
