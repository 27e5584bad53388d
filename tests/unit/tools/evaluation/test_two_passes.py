"""Verdicts show what both passes find only where both of them judged the same image."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from schemas.verdict import VerdictV1, ViewV1
from service.cli.commands import app
from service.policy.policy import CategoryRule, Policy
from service.policy.policy_file import check_policy
from service.tools.evaluation.stored.stored_verdicts import VerdictLines, opened_verdicts
from service.tools.evaluation.thresholds.two_passes import (
    BothJudged,
    PassesNotComparableError,
    stored_passes,
    two_passes,
)
from tests.unit.tools.evaluation.predicted import verdict
from tests.unit.tools.evaluation.stored import write_lines

POLICY = Policy(
    name="shop", version="1", categories={"child_safety": CategoryRule(review=0.1), "weapons": CategoryRule(review=0.4)}
)
NOTHING = {"default": 0.0, "child_safety": 0.0}
MODEL = {"name": "qwen3-vl-tiny", "revision": "1"}


def judged(full: float, first: float, *, by: dict[str, Any] | None = None, **fields: Any) -> VerdictV1:
    """Return a verdict of both passes with their scores for weapons."""
    found = {
        "decided": False,
        "scores": {"child_safety": 0.0, "weapons": first},
        "clear_below": {"child_safety": 0.0, "weapons": 0.0},
        "engine": "vllm",
        "model": MODEL,
        "prompt_hash": "ab" * 32,
    }
    given: dict[str, Any] = {"views": (), "ambiguous": (), "first_pass": found | (by or {})} | fields
    return verdict({"child_safety": 0.0, "weapons": full}, **given)


def test_each_image_has_the_first_passs_scores_and_the_decision_of_the_full_one() -> None:
    found = two_passes([judged(0.9, 0.5), judged(0.1, 0.3)], POLICY)
    assert [(each.first["weapons"], each.is_allowed) for each in found.images] == [(0.5, False), (0.3, True)]
    assert found.left_out == {}


def test_thresholds_of_today_decide_whatever_the_verdict_says() -> None:
    stricter = POLICY.model_copy(update={"categories": {**POLICY.categories, "weapons": CategoryRule(review=0.05)}})
    assert not two_passes([judged(0.1, 0.3)], stricter).images[0].is_allowed


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"first_pass": None}, "without scores of a first pass"),
        ({"ambiguous": ("truncated",)}, "ambiguous"),
        ({"status": "not_moderated", "scores": {}}, "not moderated"),
    ],
)
def test_what_shows_nothing_about_a_first_pass_is_left_out_and_counted(fields: dict[str, Any], why: str) -> None:
    odd = judged(0.9, 0.5).model_copy(update=fields)
    found = two_passes([odd, judged(0.1, 0.3)], POLICY)
    assert len(found.images) == 1
    assert [(reason.startswith(why), count) for reason, count in found.left_out.items()] == [(True, 1)]


def test_an_image_of_several_views_counts_because_it_is_cleared_as_a_whole() -> None:
    views = {"views": tuple(ViewV1(frame=number, categories=()) for number in (0, 5))}
    assert len(two_passes([judged(0.9, 0.5).model_copy(update=views)], POLICY).images) == 1


def test_images_that_the_first_pass_cleared_are_refused_because_the_full_pass_never_saw_them() -> None:
    with pytest.raises(PassesNotComparableError, match=r"1 of 2 images were cleared.*default: 0, child_safety: 0"):
        two_passes([judged(0.1, 0.01, by={"decided": True}), judged(0.1, 0.3)], POLICY)


def test_scores_of_different_first_passes_are_refused() -> None:
    other = judged(0.1, 0.3, by={"preprocessing": "64 tokens"})
    with pytest.raises(PassesNotComparableError, match="different first passes"):
        two_passes([judged(0.1, 0.3), other], POLICY)


def stored(tmp_path: Path, verdicts: Sequence[VerdictV1]) -> BothJudged:
    lines = write_lines(tmp_path / "verdicts.jsonl", (each.model_dump(mode="json") for each in verdicts))
    with opened_verdicts(VerdictLines(lines)) as connection:
        return stored_passes(connection, POLICY)


def archived(number: int, full: float, first: float, **fields: Any) -> VerdictV1:
    """Return a verdict as the policy's service makes it, on a picture of its own."""
    found = judged(full, first, **fields)
    named = {"name": POLICY.name, "version": POLICY.version, "hash": POLICY.hash}
    return found.model_copy(
        update={
            "image_id": f"image-{number}",
            "decision": "review" if full >= 0.4 else "allow",
            "policy": found.policy.model_copy(update=named),
            "image": found.image.model_copy(update={"sha256": f"{number:064x}"}),
        }
    )


def test_stored_verdicts_show_the_same_as_those_of_a_run(tmp_path: Path) -> None:
    verdicts = [archived(0, 0.9, 0.5), archived(1, 0.1, 0.3), archived(2, 0.1, 0.3, ambiguous=("truncated",))]
    found, run = stored(tmp_path, verdicts), two_passes(verdicts, POLICY)
    assert sorted(found.images, key=lambda each: each.image_id) == list(run.images)
    assert found.left_out == run.left_out


def test_of_stored_verdicts_those_of_the_policy_count_each_picture_once(tmp_path: Path) -> None:
    again = archived(0, 0.9, 0.5).model_copy(update={"image_id": "again"})
    other = archived(1, 0.1, 0.3)
    of_others = other.model_copy(update={"policy": other.policy.model_copy(update={"name": "other"})})
    before = archived(2, 0.1, 0.3)
    of_before = before.model_copy(update={"policy": before.policy.model_copy(update={"hash": "0" * 64})})
    found = stored(tmp_path, [archived(0, 0.9, 0.5), again, of_others, of_before])
    assert len(found.images) == 1
    assert found.left_out == {"decided by other thresholds than the policy has now": 1}


def test_the_command_solves_from_stored_verdicts_without_an_engine(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    harmful = rng.random(800) < 0.5
    scores = np.where(harmful, rng.uniform(0.2, 1.0, 800), rng.uniform(0.0, 0.1, 800))
    verdicts = [
        archived(number, 0.9 if bad else 0.0, float(score))
        for number, (bad, score) in enumerate(zip(harmful, scores, strict=True))
    ]
    lines = write_lines(tmp_path / "verdicts.jsonl", (each.model_dump(mode="json") for each in verdicts))
    rules = {name: {"review": rule.review} for name, rule in POLICY.categories.items()}
    policy = {"name": "shop", "version": "1", "categories": rules, "first_pass": {"clear_below": NOTHING}}
    file, settings, new = tmp_path / "shop.yaml", tmp_path / "modstream.yaml", tmp_path / "new.yaml"
    file.write_text(yaml.safe_dump(policy))
    settings.write_text(yaml.safe_dump({"policy": {"path": str(file), "default": "shop"}}))
    given = ["thresholds", "--verdicts", str(lines), "-c", str(settings), "--first-pass-recall", "0.98"]
    options = ["--clear-child-safety", "-o", str(new), "--json", str(tmp_path / "found.json")]
    result = CliRunner().invoke(app, [*given, *options], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    first_pass = check_policy(new).result().first_pass
    assert first_pass is not None
    assert 0.1 < first_pass.clear_below["weapons"] < 0.25
    assert json.loads((tmp_path / "found.json").read_text())["first_pass"]["held_out"]["cleared"]["value"] > 0.4


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--first-pass-recall", "0.99"], "DATASET, --archive or --verdicts: name one"),
        (["--target", "weapons.recall>=0.9", "--verdicts", "v.jsonl"], "DATASET: name the labelled images"),
        (["images", "--verdicts", "v.jsonl", "--first-pass-recall", "0.99"], "two sources"),
    ],
)
def test_images_come_from_one_source(arguments: list[str], hint: str) -> None:
    result = CliRunner().invoke(app, ["thresholds", *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert hint in result.stderr
