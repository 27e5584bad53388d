"""New thresholds are written into a policy's text, and nothing else of it changes."""

from pathlib import Path

import pytest

from service.policy.policy import Policy
from service.policy.policy_file import check_policy
from service.policy.policy_files import policy_paths
from service.tools.evaluation.thresholds.policy_edit import (
    NewRule,
    PolicyNotWrittenError,
    check_written,
    next_version,
    with_thresholds,
)

TEXT = """\
# Of the shop.
name: shop
version: "7"  # as we count
categories:
  child_safety: {review: 0.1, block: 0.8}
  # Replicas are fine.
  weapons:
    definition: {not_meant: replicas}
    review: 0.4  # low
    block: 0.9
  alcohol: {label: 0.15}
  gambling: {}
"""


def edited(tmp_path: Path, text: str, rules: dict[str, NewRule], *, version: str = "8") -> tuple[str, Policy]:
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    before = check_policy(path).result()
    written = with_thresholds(path, path.read_bytes(), rules, version=version)
    check_written(path, written, before, rules, version=version)
    path.write_text(written)
    return written, check_policy(path).result()


def test_numbers_change_and_everything_else_stays(tmp_path: Path) -> None:
    rules = {
        "weapons": NewRule({"review": 0.25, "block": 0.00001}, ["for a reason"]),
        "child_safety": NewRule({"block": 1.0}, []),
    }
    rules["weapons"] = NewRule({"review": 0.00001, "block": 0.75}, ["for a reason"])
    written, policy = edited(tmp_path, TEXT, rules)
    assert written == TEXT.replace('"7"', '"8"').replace("block: 0.8}", "block: 1.0}").replace(
        "  weapons:", "  # solved: for a reason\n  weapons:"
    ).replace("review: 0.4 ", "review: 0.00001 ").replace("block: 0.9\n", "block: 0.75\n")
    assert policy.categories["weapons"].review == 0.00001


def test_thresholds_that_were_not_there_are_added(tmp_path: Path) -> None:
    rules = {
        "weapons": NewRule({"label": 0.1}, []),
        "alcohol": NewRule({"review": 0.3, "block": 0.9}, []),
        "gambling": NewRule({"review": 0.3}, []),
    }
    _, policy = edited(tmp_path, TEXT, rules)
    assert dict(policy.categories["weapons"].thresholds()) == {"label": 0.1, "review": 0.4, "block": 0.9}
    assert dict(policy.categories["alcohol"].thresholds()) == {"label": 0.15, "review": 0.3, "block": 0.9}
    assert dict(policy.categories["gambling"].thresholds()) == {"review": 0.3}


def test_comments_of_an_earlier_solution_are_replaced(tmp_path: Path) -> None:
    first, _ = edited(tmp_path, TEXT, {"weapons": NewRule({"review": 0.3}, ["one", "two"])})
    second, _ = edited(tmp_path, first, {"weapons": NewRule({"review": 0.2}, ["three"])}, version="9")
    assert "# solved: one" in first
    assert "# solved: two" not in second
    assert "# Replicas are fine.\n  # solved: three\n  weapons:" in second


def test_a_comment_cannot_leave_its_line(tmp_path: Path) -> None:
    written, policy = edited(tmp_path, TEXT, {"weapons": NewRule({"review": 0.3}, ["one\nname: other\r\x85two"])})
    assert policy.name == "shop"
    assert "\nname: other" not in written


def test_the_bundled_policy_can_be_changed(tmp_path: Path) -> None:
    (path,) = policy_paths(None)
    rules = {"weapons": NewRule({"review": 0.33}, ["a reason"]), "violence": NewRule({"block": 0.95}, ["a reason"])}
    _, policy = edited(tmp_path, path.read_text(), rules, version="2")
    assert (policy.version, policy.categories["weapons"].review) == ("2", 0.33)
    assert policy.hash != check_policy(path).result().hash


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("weapons:\n", "weapons: &rule\n").replace("gambling: {}", "gambling: *rule"),
        TEXT.replace("alcohol: {label: 0.15}", "alcohol: &rule {review: 0.4}").replace(
            "gambling: {}", "gambling: {<<: *rule}"
        ),
    ],
)
def test_a_rule_that_is_shared_is_not_changed_behind_the_other(tmp_path: Path, text: str) -> None:
    with pytest.raises(PolicyNotWrittenError, match="without YAML's anchors"):
        edited(tmp_path, text, {"weapons": NewRule({"review": 0.3}, []), "alcohol": NewRule({"review": 0.3}, [])})


def test_a_version_that_no_policy_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyNotWrittenError, match="it would be no policy: version"):
        edited(tmp_path, TEXT, {}, version="9" * 65)


def test_hostile_versions_stay_texts(tmp_path: Path) -> None:
    _, policy = edited(tmp_path, TEXT, {}, version='8"\\ # x: y')
    assert policy.version == '8"\\ # x: y'


@pytest.mark.parametrize(
    ("version", "expected"), [("7", "8"), ("v9", "v10"), ("2026-11-29", "2026-11-30"), ("a", "a.1")]
)
def test_versions_count_up(version: str, expected: str) -> None:
    assert next_version(version) == expected
