"""`modstream keys`: what it prints, and what it writes."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from service.api.callers.access_errors import KeyRevokedError
from service.api.callers.api_keys import KEY_PATTERN, ApiKeys, KeyEntry
from service.api.callers.keys_file import check_keys
from service.cli.commands import app


def modstream(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, ["keys", *arguments], env={"COLUMNS": "200"} | environment)


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "keys.yaml")


def created(file: str, *arguments: str) -> str:
    result = modstream("create", "--file", file, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.removesuffix("\n")


def keys(file: str) -> ApiKeys:
    return check_keys(Path(file)).result()


def test_create_with_a_file_prints_the_key_alone_and_adds_its_entry(file: str) -> None:
    key = created(file, "--tenant", "shop", "--scopes", "moderate, read", "--expires", "90d", "--images-per-s", "5")
    assert re.fullmatch(KEY_PATTERN, key)
    entry = keys(file).find(key, now=datetime.now(UTC))
    assert (entry.tenant, entry.scopes, entry.images_per_s) == ("shop", ("moderate", "read"), 5)
    assert entry.expires is not None
    assert timedelta(days=89) < entry.expires - datetime.now(UTC) <= timedelta(days=90)
    assert key.rpartition("_")[2] not in Path(file).read_text()


def test_create_without_a_file_prints_the_entry_to_add() -> None:
    result = modstream("create", "--id", "web")
    key, blank, *entry = result.stdout.splitlines()
    assert blank == ""
    (values,) = yaml.safe_load("\n".join(entry))
    assert ApiKeys({"web": KeyEntry.model_validate(values)}).find(key, now=datetime.now(UTC)).id == "web"
    assert "not shown again" in result.stderr


def test_a_key_without_choices_may_do_all_but_act_for_other_tenants(file: str) -> None:
    created(file)
    (entry,) = keys(file).by_id.values()
    assert (entry.tenant, entry.scopes, entry.expires) == ("default", ("moderate", "chat", "read"), None)


@pytest.mark.parametrize(
    ("arguments", "detail"),
    [
        (["--scopes", "moderate,write"], "scopes.1: Input should be 'moderate', 'chat', 'read' or 'tenants'"),
        (["--scopes", ","], "scopes: a key needs a scope"),
        (["--tenant", ""], "tenant: "),
        (["--id", "Web"], "id: "),
        (["--burst", "0"], "burst: "),
        (["--requests-per-s", "-1"], "requests_per_s: "),
        (["--expires", "soon"], "--expires soon cannot be read; it is given as 12h, 90d"),
        (["--expires", "0d"], "--expires 0d cannot be read"),
        (["--expires", "99999y"], "--expires 99999y cannot be read"),
        (["--expires", "2020-01-01"], "--expires 2020-01-01 is past"),
    ],
)
def test_a_key_that_cannot_be_is_wrong_usage_and_nothing_is_written(
    file: str, arguments: list[str], detail: str
) -> None:
    result = modstream("create", "--file", file, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert detail in result.stderr
    assert not Path(file).exists()


def test_a_key_is_not_printed_when_its_entry_cannot_be_kept(file: str) -> None:
    Path(file).write_text("- id: 7\n")
    result = modstream("create", "--file", file)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "0.id: Input should be a valid string" in result.stderr


def test_list_shows_which_keys_are_accepted(file: str) -> None:
    created(file, "--id", "one", "--tenant", "shop", "--requests-per-s", "5", "--images-per-s", "0.5")
    created(file, "--id", "two", "--expires", "1h")
    created(file, "--id", "three")
    modstream("revoke", "three", "--file", file)
    text = Path(file).read_text()
    Path(file).write_text(re.sub(r"expires: .*", "expires: 2026-01-31T10:00:00Z", text))
    header, *rows = modstream("list", "--file", file).stdout.splitlines()
    assert header.split() == ["id", "state", "tenant", "scopes", "expires", "limits"]
    assert [re.split(r"\s{2,}", row.strip()) for row in rows] == [
        ["one", "accepted", "shop", "moderate, chat, read", "never", "5 requests/s, 0.5 images/s"],
        ["two", "expired", "default", "moderate, chat, read", "2026-01-31 10:00Z", "none"],
        ["three", "revoked", "default", "moderate, chat, read", "never", "none"],
    ]


def test_list_as_json_is_for_scripts_and_has_no_hashes(file: str) -> None:
    created(file, "--id", "one")
    (entry,) = json.loads(modstream("list", "--json", "--file", file).stdout)
    assert (entry["id"], entry["state"], entry["scopes"]) == ("one", "accepted", ["moderate", "chat", "read"])
    assert "sha256" not in entry


def test_list_reports_every_problem_with_its_place(file: str) -> None:
    Path(file).write_text("- id: 7\n- id: two\n  scopes: [x]\n")
    result = modstream("list", "--file", file)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"error: {file}:1: 0.id: Input should be a valid string" in result.stderr
    assert f"error: {file}:3: 1.scopes.0: " in result.stderr


def test_the_file_of_the_settings_is_the_default(file: str) -> None:
    created(file, "--id", "one")
    assert "one" in modstream("list", MODSTREAM_API__KEYS_FILE=file).stdout
    assert modstream("revoke", "one", MODSTREAM_API__KEYS_FILE=file).exit_code == 0
    result = modstream("list")
    assert result.exit_code == 2
    assert "by --file, or by the setting api.keys_file" in result.stderr


@pytest.mark.parametrize("named", ["by its id", "by itself"])
def test_a_revoked_key_is_refused(file: str, named: str) -> None:
    key = created(file, "--id", "one")
    result = modstream("revoke", "one" if named == "by its id" else key, "--file", file)
    assert (result.exit_code, result.stderr) == (0, f"one is revoked in {file}.\n")
    with pytest.raises(KeyRevokedError):
        keys(file).find(key, now=datetime.now(UTC))


@pytest.mark.parametrize("key_id", ["two", "ms_one_x"])
def test_revoking_a_key_that_is_not_there_fails(file: str, key_id: str) -> None:
    created(file, "--id", "one")
    result = modstream("revoke", key_id, "--file", file)
    assert result.exit_code == 1
    assert f"no key has the id {key_id}" in result.stderr
