"""Keys are added to a file and revoked in it, and all else stays as it was written."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.api.callers.access_errors import KeysFileError
from service.api.callers.api_keys import KeyEntry, new_key
from service.api.callers.keys_editing import KeysEditError, add_key, entry_yaml, revoke_key
from service.api.callers.keys_file import check_keys

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SHA256 = "0123456789abcdef" * 4
ONE = KeyEntry(id="one", sha256=SHA256, tenant="shop", scopes=("moderate",))
NEW = KeyEntry(
    id="new",
    sha256=SHA256,
    tenant='a: "b" # c é',
    scopes=("read", "tenants"),
    expires=NOW,
    requests_per_s=0.5,
    burst=3,
)


BROKEN = {b"- id: 7\n": r"line 1: 0\.id", b"\xff\xfe": "no YAML text in UTF-8", b"x: [": "not YAML"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.yaml"


def entries(path: Path) -> list[KeyEntry]:
    return list(check_keys(path).result().by_id.values())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_missing_file_is_made_and_readable_by_its_owner_alone(path: Path) -> None:
    add_key(path, NEW)
    assert entries(path) == [NEW]
    assert mode(path) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["keys.yaml"]


@pytest.mark.parametrize(
    "before",
    [
        "# our keys\n\n" + entry_yaml(ONE) + "# the end\n",
        entry_yaml(ONE).rstrip("\n"),
        entry_yaml(ONE).replace("\n", "\r\n"),
        "".join(f"    {line}\n" for line in entry_yaml(ONE).splitlines()),
        f"---\n-   tenant: shop\n    # by hand\n    id: one\n    scopes:\n    - moderate\n    sha256: {SHA256}\n",
        f"- {{id: one, sha256: '{SHA256}', tenant: shop, scopes: [moderate]}}\n",
    ],
)
def test_a_key_is_added_and_another_revoked_however_the_file_is_written(path: Path, before: str) -> None:
    path.write_bytes(before.encode())
    add_key(path, NEW)
    assert entries(path) == [ONE, NEW]
    assert path.read_bytes().decode().startswith(before)
    revoke_key(path, "one", NOW)
    assert entries(path) == [ONE.model_copy(update={"revoked": NOW}), NEW]
    for line in before.splitlines():
        assert line.strip("- {}\r") in path.read_text()


@pytest.mark.parametrize("before", ["", "\n", "# none yet\n", "[]\n", "# none yet\n[]", "[ ]  # none yet\n"])
def test_a_key_is_added_to_a_file_without_keys(path: Path, before: str) -> None:
    path.write_text(before)
    add_key(path, NEW)
    assert entries(path) == [NEW]
    assert ("# none yet" in path.read_text()) == ("# none yet" in before)


def test_a_file_in_another_style_is_left_as_it_is(path: Path) -> None:
    text = f"[{{id: one, sha256: '{SHA256}', tenant: shop, scopes: [moderate]}}]\n"
    path.write_text(text)
    with pytest.raises(KeysEditError, match="edit it by hand"):
        add_key(path, NEW)
    assert path.read_text() == text


def test_a_change_that_would_revoke_another_key_as_well_is_refused(path: Path) -> None:
    text = entry_yaml(ONE).replace("- id", "- &one\n  id") + "- <<: *one\n  id: two\n"
    path.write_text(text)
    with pytest.raises(KeysEditError, match="edit it by hand"):
        revoke_key(path, "one", NOW)
    assert path.read_text() == text
    revoke_key(path, "two", NOW)
    assert [entry.revoked for entry in entries(path)] == [None, NOW]


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_file_is_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(KeysFileError, match=BROKEN[content]):
        add_key(path, NEW)
    with pytest.raises(KeysFileError, match=BROKEN[content]):
        revoke_key(path, "one", NOW)
    assert path.read_bytes() == content


def test_an_id_is_taken_once(path: Path) -> None:
    add_key(path, NEW)
    with pytest.raises(KeysEditError, match="another key has the id new"):
        add_key(path, NEW)


def test_a_key_is_revoked_once(path: Path) -> None:
    add_key(path, NEW)
    revoke_key(path, "new", NOW)
    with pytest.raises(KeysEditError, match="revoked already, since 2026-03-01T12:00:00"):
        revoke_key(path, "new", NOW)
    with pytest.raises(KeysEditError, match="no key has the id old"):
        revoke_key(path, "old", NOW)


def test_mode_and_links_of_a_file_stay(tmp_path: Path, path: Path) -> None:
    path.write_text(entry_yaml(ONE))
    path.chmod(0o640)
    (tmp_path / "link.yaml").symlink_to("keys.yaml")
    add_key(tmp_path / "link.yaml", NEW)
    assert (tmp_path / "link.yaml").is_symlink()
    assert entries(path) == [ONE, NEW]
    assert mode(path) == 0o640


def test_a_change_that_fails_leaves_the_file_and_nothing_beside_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text(entry_yaml(ONE))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        add_key(path, NEW)
    assert path.read_text() == entry_yaml(ONE)
    assert [each.name for each in path.parent.iterdir()] == ["keys.yaml"]


def test_keys_that_are_added_at_the_same_time_are_all_there(path: Path) -> None:
    made = [new_key().entry for _ in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda entry: add_key(path, entry), made))
    assert {entry.id for entry in entries(path)} == {entry.id for entry in made}
