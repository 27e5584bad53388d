"""New thresholds of a first pass are written into a policy's text, and nothing else of it changes."""

from pathlib import Path

import pytest

from service.policy.policy import Policy
from service.policy.policy_file import check_policy
from service.tools.evaluation.thresholds.first_pass_edit import NewFirstPass, check_first_pass, with_first_pass
from service.tools.evaluation.thresholds.policy_edit import PolicyNotWrittenError

NEW = NewFirstPass({"child_safety": 0.0331, "weapons": 0.00001}, ["for a reason"])
TEXT = """\
# Of the shop.
name: shop
version: "7"
first_pass:
  vision_tokens: 64  # a quarter
  {given}
categories:
  child_safety: {{review: 0.1}}
  # Replicas are fine.
  weapons: {{review: 0.4}}
"""
WRITTEN = """\
  # solved: for a reason
  clear_below:
    child_safety: 0.0331
    weapons: 0.00001"""


def edited(tmp_path: Path, text: str) -> tuple[str, Policy]:
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    before = check_policy(path).result()
    written = with_first_pass(path, path.read_bytes(), NEW, version="8")
    check_first_pass(path, written, before, NEW, version="8")
    path.write_text(written)
    return written, check_policy(path).result()


@pytest.mark.parametrize(
    ("given", "behind"),
    [
        ("clear_below: {default: 0, child_safety: 0}  # both judge", "  # both judge"),
        ("clear_below:\n    default: 0\n    child_safety: 0", ""),
        ("# solved: earlier\n  clear_below:\n      default: 0\n      child_safety: 0 # both judge", " # both judge"),
    ],
)
def test_thresholds_change_and_everything_else_stays(tmp_path: Path, given: str, behind: str) -> None:
    written, policy = edited(tmp_path, TEXT.format(given=given))
    assert written == TEXT.replace('"7"', '"8"').replace("  {given}", "{given}").format(given=WRITTEN + behind)
    assert policy.first_pass is not None
    assert policy.first_pass.clear_below == NEW.clear_below


def test_a_first_pass_in_one_line_stays_in_one_line(tmp_path: Path) -> None:
    text = TEXT.format(given="").replace(
        "first_pass:\n  vision_tokens: 64  # a quarter\n  \n",
        "first_pass: {clear_below: {default: 0, child_safety: 0}, vision_tokens: 64}\n",
    )
    written, policy = edited(tmp_path, text)
    assert "first_pass: {clear_below: {child_safety: 0.0331, weapons: 0.00001}, vision_tokens: 64}\n" in written
    assert policy.first_pass is not None
    assert policy.first_pass.vision_tokens == 64


def test_what_is_printed_can_be_pasted(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(TEXT.format(given="").replace("  \n", NEW.key()))
    first_pass = check_policy(path).result().first_pass
    assert first_pass is not None
    assert first_pass.clear_below == NEW.clear_below


def test_thresholds_that_would_be_no_policy_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(TEXT.format(given="clear_below: {default: 0, child_safety: 0}"))
    before = check_policy(path).result()
    too_high = NewFirstPass({"child_safety": 0.5, "weapons": 0.1}, [])
    text = with_first_pass(path, path.read_bytes(), too_high, version="8")
    with pytest.raises(PolicyNotWrittenError, match="below the lowest threshold"):
        check_first_pass(path, text, before, too_high, version="8")
