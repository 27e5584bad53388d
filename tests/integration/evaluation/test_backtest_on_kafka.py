"""A backtest finds what a service with the new policy then decides, on Apache Kafka: live = shadow = backtest."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from schemas.verdict import VerdictV1
from service.cli.commands import app
from service.policy.policy import Policy
from service.tools.evaluation.backtest.result import DECISIONS
from service.tools.evaluation.stored.columns import json_text
from testing.kafka import KafkaBroker
from tests.integration.evaluation.two_services import (
    UNJUDGED,
    Decided,
    TwoServices,
    image_files,
    scores_of,
)

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

Backtested = Mapping[str, Any]
"""What `modstream backtest --json` prints."""


def policies(scores: Mapping[str, Mapping[str, float]]) -> tuple[Policy, Policy]:
    """Return a policy and its successor, with thresholds that are exactly the scores of some images.

    Every decision before meets every decision after. The embedded engine only hints at alcohol, gambling, swimwear and
    weapons, so that the threshold for block sends to review.
    """
    never_scored = {"child_safety": {"review": 0.1}}
    before = {
        "sexual_explicit": {"block": scores["wine"]["sexual_explicit"], "frames": 2},
        "swimwear_underwear": {"review": scores["astronaut"]["swimwear_underwear"], "frames": 2},
        "weapons": {"block": scores["rifle-drawing"]["weapons"]},
        "alcohol": {"review": scores["beer"]["alcohol"]},
    }
    after = {
        "nudity_nonexplicit": {
            "review": scores["cat"]["nudity_nonexplicit"],
            "block": scores["astronaut"]["nudity_nonexplicit"],
        },
        "swimwear_underwear": {"review": scores["rocket-film"]["swimwear_underwear"], "frames": 2},
        "weapons": {"block": scores["rifle-drawing"]["weapons"]},
        "alcohol": {"label": scores["wine"]["alcohol"]},
        "gambling": {"review": scores["sheep"]["gambling"]},
    }
    return (
        _policy("1", never_scored | before, when_not_moderated="review"),
        _policy("2", never_scored | after, when_not_moderated="block"),
    )


def _policy(version: str, categories: Mapping[str, Mapping[str, float]], **fields: str) -> Policy:
    return Policy.model_validate({"name": "shop", "version": version, "categories": categories} | fields)


EXPECTED = {
    ("block", "block"): {"farm"},
    ("block", "review"): {"cat"},
    ("block", "allow"): {"wine"},
    ("review", "block"): {"astronaut", "coffee-unjudged", "cat-unjudged"},
    ("review", "review"): {"rifle-drawing"},
    ("review", "allow"): {"beer"},
    ("allow", "block"): {"farm-film"},
    ("allow", "review"): {"rocket", "sheep"},
    ("allow", "allow"): {"alps", "boats", "coffee", "photographer", "rocket-film"},
}
"""Image ids by decision before and after; it is the same for all tenants."""


@dataclass(frozen=True)
class Proof:
    """What services published, and what backtests said."""

    policy: Policy
    decided: Decided
    backtests: Mapping[str, Backtested]
    """By source."""


@pytest.fixture(scope="module")
def proof(kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> Proof:
    folder = tmp_path_factory.mktemp("proof")
    images = image_files(folder)
    before, after = policies(asyncio.run(scores_of(images)))
    services = TwoServices(kafka, folder, before, after)
    decided = asyncio.run(services.decide(images))
    return Proof(after, decided, backtests(services))


def backtests(services: TwoServices) -> dict[str, Backtested]:
    """Ask `modstream backtest` about the verdicts of the first service: in their topic, and in an archive of it."""
    archive = str(services.folder / "archive")
    config = services.folder / "commands.yaml"
    config.write_text(yaml.safe_dump(services.settings()[0]))
    command(config, "archive", "--to", archive, "--once")
    sources = {
        "topic": (),
        "archive": ("--archive", archive),
        "archive, decided anew": ("--archive", archive, "--baseline", str(services.policy_file("before"))),
    }
    question = ("backtest", "--policy", str(services.policy_file("after")), "--examples", "100", "--json")
    return {source: json.loads(command(config, *question, *options)) for source, options in sources.items()}


def command(config: Path, *arguments: str) -> str:
    """Return what a command of modstream prints."""
    done = CliRunner().invoke(app, [*arguments, "-c", str(config)])
    assert done.exit_code == 0, done.stderr
    return done.stdout


@pytest.fixture(params=["topic", "archive", "archive, decided anew"])
def backtested(proof: Proof, request: pytest.FixtureRequest) -> Backtested:
    return proof.backtests[request.param]


def test_every_decision_becomes_every_other_and_scores_lie_on_thresholds(proof: Proof) -> None:
    found: dict[tuple[str, str], set[str]] = {}
    for before, after in pairs(proof.decided):
        found.setdefault((before.decision, after.decision), set()).add(after.image_id)
        assert (before.scores.keys(), before.hints, before.image) == (after.scores.keys(), after.hints, after.image)
    assert found == EXPECTED
    reached = {
        (reason.category, reason.threshold)
        for verdict in proof.decided.after.values()
        for reason in verdict.reasons
        if reason.score is not None and reason.score == reason.threshold
    }
    assert reached == {
        (name, threshold)
        for name, rule in proof.policy.categories.items()
        for _, threshold in rule.thresholds()
        if name != "child_safety"
    }
    assert {key for key, each in proof.decided.after.items() if each.status == "not_moderated"} == {*UNJUDGED}
    labelled = proof.decided.after["shop", "wine"]
    assert [(reason.category, reason.decision) for reason in labelled.reasons] == [("alcohol", "allow")]


def test_the_shadow_of_the_first_service_decided_as_the_second_service(proof: Proof) -> None:
    for key, shadow in proof.decided.shadow.items():
        before, after = proof.decided.before[key], proof.decided.after[key]
        (tried,) = shadow.policies
        assert (tried.policy, tried.decision, tried.deciding_category) == decision_of(after)
        assert (shadow.live.policy, shadow.live.decision, shadow.live.deciding_category) == decision_of(before)
        assert tried.agrees == (before.decision == after.decision)
        assert set(tried.unscored) == set(after.not_covered) & proof.policy.categories.keys()
        assert (shadow.source, shadow.moderated_at) == (before.source, before.moderated_at)
        assert (before.source, before.policy.version, after.policy.version) == (after.source, "1", "2")


def test_a_backtest_has_the_matrix_of_both_services(proof: Proof, backtested: Backtested) -> None:
    result, decided = backtested["result"], pairs(proof.decided)
    cells = {(cell["before"], cell["after"]): cell["images"] for cell in result["matrix"]}
    assert cells == Counter((before.decision, after.decision) for before, after in decided)
    assert backtested["changed"] == sum(before.decision != after.decision for before, after in decided)
    reviewed = [Counter(verdict.decision for verdict in side)["review"] for side in zip(*decided, strict=True)]
    assert backtested["more_to_review"] == reviewed[1] - reviewed[0]
    assert (result["images"], result["not_moderated"]) == (len(decided), len(UNJUDGED))
    assert result["policy_hash"] == {after.policy.hash for _, after in decided}.pop()
    (unjudged,) = (each for each in result["unanswered"] if each["kind"] == "image.not_judged")
    assert unjudged["images"] == len(UNJUDGED)


def test_a_backtest_has_the_counts_of_both_services_by_tenant_and_category(
    proof: Proof, backtested: Backtested
) -> None:
    decided = pairs(proof.decided)
    tenants = {tenant: group(tenant, decided, lambda verdict: verdict.tenant) for tenant, _ in proof.decided.after}
    assert by_name(backtested["result"]["tenants"]) == tenants
    deciding = {verdict.deciding_category for pair in decided for verdict in pair} - {None}
    categories = {name: group(name, decided, lambda verdict: verdict.deciding_category) for name in deciding}
    assert by_name(backtested["result"]["categories"]) == categories
    assert tenants["quiet"]["stricter"] + tenants["quiet"]["milder"] == 0


def test_a_backtest_lists_the_images_that_the_second_service_decided_otherwise(
    proof: Proof, backtested: Backtested
) -> None:
    expected = {
        (after.tenant, after.image_id): listed(before, after, proof.policy) for before, after in pairs(proof.decided)
    }
    examples = [example for cell in backtested["result"]["matrix"] for example in cell["examples"]]
    assert len(examples) == len(expected)
    assert {(each["tenant"], each["image_id"]): read(each) for each in examples} == expected


def test_a_backtest_lists_the_images_nearest_to_each_threshold(proof: Proof, backtested: Backtested) -> None:
    near = backtested["result"]["near"]
    found = Counter((each["category"], each["outcome"], each["threshold"], each["score"]) for each in near)
    assert found == Counter(nearest(proof))
    for each in near:
        key = each["image"]["tenant"], each["image"]["image_id"]
        before, after = proof.decided.before[key], proof.decided.after[key]
        assert read(each["image"]) == listed(before, after, proof.policy)
        assert each["score"] == after.scores[each["category"]]


def pairs(decided: Decided) -> list[tuple[VerdictV1, VerdictV1]]:
    """Return the verdicts of both services on each upload."""
    assert decided.before.keys() == decided.after.keys() == decided.shadow.keys()
    return [(decided.before[key], decided.after[key]) for key in decided.before]


def decision_of(verdict: VerdictV1) -> tuple[object, ...]:
    return verdict.policy, verdict.decision, verdict.deciding_category


def group(
    name: str | None, decided: Sequence[tuple[VerdictV1, VerdictV1]], name_of: Callable[[VerdictV1], str | None]
) -> dict[str, int]:
    """Return what changes for a tenant or a category: a change belongs to the group on its graver side."""
    before = [verdict for verdict, _ in decided if name_of(verdict) == name]
    after = [verdict for _, verdict in decided if name_of(verdict) == name]
    steps = [
        (first, second, DECISIONS.index(second.decision) - DECISIONS.index(first.decision)) for first, second in decided
    ]
    return {
        "images": sum(name in {name_of(first), name_of(second)} for first, second in decided),
        "stricter": sum(step > 0 and name_of(second) == name for _, second, step in steps),
        "milder": sum(step < 0 and name_of(first) == name for first, _, step in steps),
        "review_before": sum(verdict.decision == "review" for verdict in before),
        "review_after": sum(verdict.decision == "review" for verdict in after),
        "block_before": sum(verdict.decision == "block" for verdict in before),
        "block_after": sum(verdict.decision == "block" for verdict in after),
    }


def by_name(groups: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    return {each["name"]: {name: value for name, value in each.items() if name != "name"} for each in groups}


def listed(before: VerdictV1, after: VerdictV1, policy: Policy) -> dict[str, Any]:
    """Return an image as a backtest lists it."""
    return {
        "image_id": after.image_id,
        "tenant": after.tenant,
        "moderated_at": before.moderated_at,
        "before": before.decision,
        "after": after.decision,
        "category_before": before.deciding_category,
        "category_after": after.deciding_category,
        "scores": {name: score for name, score in after.scores.items() if name in policy.categories},
        "sha256": after.image.sha256,
        "source_topic": before.source.topic,
        "source_partition": before.source.partition,
        "source_offset": before.source.offset,
        "ambiguous": json_text(before.ambiguous) if before.ambiguous else None,
    }


def read(image: Mapping[str, Any]) -> dict[str, Any]:
    return {**image, "moderated_at": datetime.fromisoformat(image["moderated_at"])}


def nearest(proof: Proof) -> Iterator[tuple[str, str, float, float]]:
    """Yield the two scores of the second service that are nearest to each threshold on each side of it."""
    for name, rule in proof.policy.categories.items():
        scores = sorted(verdict.scores[name] for verdict in proof.decided.after.values() if name in verdict.scores)
        for outcome, threshold in rule.thresholds():
            if outcome != "label":
                below, reached = ([score for score in scores if (score >= threshold) == side] for side in (False, True))
                yield from ((name, outcome, threshold, score) for score in (*below[-2:], *reached[:2]))
