"""Which keys are accepted, and how a file of keys is read."""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.api.callers.access_errors import KeyExpiredError, KeyRevokedError, UnauthenticatedError, UnknownKeyError
from service.api.callers.api_keys import KEY_PATTERN, ApiKeys, KeyEntry, NewKey, new_key, sha256_of
from service.api.callers.keys_file import MAX_KEYS, check_keys
from service.core.documents import MAX_BYTES

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SHA256 = "0123456789abcdef" * 4
ENTRY = f"- id: one\n  sha256: '{SHA256}'\n  tenant: shop\n  scopes: [moderate]\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.yaml"


def keys(*made: NewKey) -> ApiKeys:
    return ApiKeys({each.entry.id: each.entry for each in made})


def problems(path: Path, content: str | bytes) -> list[str]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    checked = check_keys(path)
    assert checked.found is None
    return [str(problem) for problem in checked.problems]


def test_a_new_key_is_found_by_its_text_and_by_no_other() -> None:
    made, other = new_key(tenant="shop"), new_key()
    known = keys(made)
    assert known.find(made.text, now=NOW) == made.entry
    assert made.entry.tenant == "shop"
    with pytest.raises(UnknownKeyError):
        known.find(other.text, now=NOW)


def test_a_key_has_256_random_bits_and_a_form_that_scanners_find() -> None:
    texts = {new_key().text for _ in range(100)}
    assert len(texts) == 100
    for text in texts:
        found = re.fullmatch(KEY_PATTERN, text)
        assert found is not None
        assert len(found[2]) == 43


def test_what_is_kept_of_a_key_is_what_sha256sum_prints() -> None:
    made = new_key()
    assert made.entry.sha256 == hashlib.sha256(made.text.encode()).hexdigest()
    assert made.text.rpartition("_")[2] not in made.entry.model_dump_json()


@pytest.mark.parametrize(
    "change", [lambda text: text[:-1] + ("a" if text[-1] != "a" else "b"), str.upper, lambda text: text + "a"]
)
def test_a_wrong_key_and_an_unknown_one_get_the_same_answer(change: object) -> None:
    made = new_key()
    assert callable(change)
    answers = set()
    for text in (change(made.text), new_key().text, "sk-proj-1", "ms_a_b", "\udcff", "ü" * 60):
        with pytest.raises(UnknownKeyError) as caught:
            keys(made).find(text, now=NOW)
        answers.add((str(caught.value), caught.value.status, tuple(caught.value.headers.items())))
    assert len(answers) == 1


def test_an_expired_key_is_refused_from_its_last_moment_on() -> None:
    made = new_key(expires=NOW)
    assert keys(made).find(made.text, now=NOW - timedelta(seconds=1)) == made.entry
    with pytest.raises(KeyExpiredError, match=f"{made.entry.id} expired at 2026-03-01T00:00:00Z"):
        keys(made).find(made.text, now=NOW)


def test_a_revoked_key_is_refused() -> None:
    made = new_key(expires=NOW)
    revoked = NewKey(made.text, made.entry.model_copy(update={"revoked": NOW}))
    with pytest.raises(KeyRevokedError, match="was revoked at 2026-03-01"):
        keys(revoked).find(made.text, now=NOW)


def test_expiry_is_reported_to_the_holder_of_the_key_alone() -> None:
    made = new_key(expires=NOW)
    with pytest.raises(UnknownKeyError):
        keys(made).find(made.text[:-4] + "AAAA", now=NOW)


def test_no_error_repeats_the_key() -> None:
    made = new_key(expires=NOW)
    for known in (keys(made), keys()):
        with pytest.raises(UnauthenticatedError) as caught:
            known.find(made.text, now=NOW)
        assert made.text.rpartition("_")[2] not in f"{caught.value} {caught.value.facts} {caught.value.headers}"


def test_a_file_is_read_with_all_that_an_entry_may_hold(path: Path) -> None:
    path.write_text(
        ENTRY + f"- id: two\n  sha256: '{sha256_of('x')}'\n  tenant: 'shoes & bags'\n  scopes: [read, tenants]\n"
        "  expires: 2027-01-31T00:00:00+01:00\n  revoked: '2026-02-01T00:00:00Z'\n"
        "  requests_per_s: 5\n  images_per_s: 0.5\n  burst: 20\n"
    )
    found = check_keys(path).result().by_id
    assert found["one"] == KeyEntry(id="one", sha256=SHA256, tenant="shop", scopes=("moderate",))
    assert found["two"].expires == datetime(2027, 1, 30, 23, tzinfo=UTC)
    assert (found["two"].requests_per_s, found["two"].images_per_s, found["two"].burst) == (5, 0.5, 20)


def test_an_empty_list_is_a_file_without_keys(path: Path) -> None:
    path.write_text("[]\n")
    assert check_keys(path).result() == ApiKeys({})


@pytest.mark.parametrize(
    ("content", "line", "detail"),
    [
        (ENTRY.replace("[moderate]", "[moderat]"), 4, "0.scopes.0: Input should be 'moderate', 'chat'"),
        (ENTRY.replace("[moderate]", "[]"), 4, "0.scopes: a key needs a scope"),
        (ENTRY.replace("'0123", "'0"), 2, "0.sha256"),
        (ENTRY.replace("id: one", "id: One_"), 1, "0.id"),
        (ENTRY.replace("  tenant: shop\n", ""), 1, "0.tenant: Field required"),
        (ENTRY + "  expires: 2027\n", 5, "0.expires: Input should be a time as in RFC 3339"),
        (ENTRY + "  expires: 2027-01-31\n", 5, "0.expires: Input should be a time as in RFC 3339"),
        (ENTRY + "  requests_per_s: 0\n", 5, "0.requests_per_s"),
        (ENTRY + "  images_per_s: .inf\n", 5, "0.images_per_s"),
        (ENTRY + "  scope: read\n", 5, "0.scope: Extra inputs"),
        (ENTRY + "  tenant: other\n", 5, "'tenant' stands there twice"),
        (ENTRY + ENTRY, 5, "1.id: another key has the id 'one'"),
        ("- one\n", 1, "0: Input should be"),
        ("keys: []\n", 1, "the file is a list of keys"),
        ("", 1, "the file is empty"),
        ("- id: 'x", 1, "this is not YAML"),
        (b"\xff\xfe", 1, "no YAML text"),
        ("[" * 100, 1, "64 levels"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(path: Path, content: str | bytes, line: int, detail: str) -> None:
    (problem,) = problems(path, content)
    assert problem.startswith(f"{path}, line {line}: ")
    assert detail in problem


def test_all_problems_of_all_entries_are_reported(path: Path) -> None:
    found = problems(path, ENTRY + ENTRY.replace("shop", "''") + ENTRY.replace("[moderate]", "[x, y]") + "- 7\n")
    assert [re.search(r"line (\d+): ([\w.]+)", problem).groups() for problem in found] == [  # type: ignore[union-attr] # each names its line
        ("7", "1.tenant"),
        ("12", "2.scopes.0"),
        ("12", "2.scopes.1"),
        ("13", "3"),
        ("5", "1.id"),
        ("9", "2.id"),
    ]


def test_a_file_that_is_too_large_is_refused_before_it_is_parsed(path: Path) -> None:
    assert "more than 1,048,576 bytes" in problems(path, b"[" + b"-" * MAX_BYTES)[0]
    assert "more than 1,000 keys" in problems(path, "- 7\n" * (MAX_KEYS + 1))[0]


def test_a_missing_file_is_a_problem(path: Path) -> None:
    (problem,) = check_keys(path).problems
    assert "the file cannot be read: No such file" in str(problem)
