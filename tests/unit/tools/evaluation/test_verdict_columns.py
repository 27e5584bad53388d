import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from schemas.example_files import read_examples
from schemas.registry import VERDICT_V1
from schemas.verdict import VerdictV1
from service.policy.taxonomy import NAMES
from service.tools.evaluation.stored.columns import (
    NotAVerdictError,
    own_categories_of,
    row_of,
    score_columns,
    verdict_schema,
)
from tests.unit.tools.evaluation.stored import a_verdict


@pytest.mark.parametrize("name", read_examples(VERDICT_V1))
def test_every_example_of_the_contract_becomes_a_row(name: str) -> None:
    document = read_examples(VERDICT_V1)[name]
    verdict = VerdictV1.model_validate(document)

    row = row_of(document)

    table = pa.RecordBatch.from_pylist([row], schema=verdict_schema(own_categories_of(row)))
    (stored,) = table.to_pylist()
    assert stored["image_id"] == verdict.image_id
    assert stored["moderated_at"] == verdict.moderated_at
    assert stored["source_offset"] == verdict.source.offset
    assert stored["total_ms"] == verdict.timings_ms["total"]
    assert json.loads(stored["context"]) == verdict.context
    assert {name: stored[f"score_{name}"] for name in verdict.scores} == verdict.scores
    assert tuple(stored["not_covered"]) == verdict.not_covered


def test_what_viewers_may_show_otherwise_is_a_list_as_text_and_null_where_there_is_nothing() -> None:
    rows = [row_of(a_verdict(ambiguous=each)) for each in (["opacity", "truncated"], [], None)]
    assert [row["ambiguous"] for row in rows] == ['["opacity","truncated"]', None, None]
    before = a_verdict()
    before.pop("ambiguous")
    assert row_of(before)["ambiguous"] is None


def test_whether_a_first_pass_decided_has_a_column_and_its_scores_are_text() -> None:
    found = {"decided": True, "scores": {"weapons": 0.1}}
    rows = [row_of(a_verdict(first_pass=each)) for each in (found, None)]
    assert [row["first_pass_decided"] for row in rows] == [True, None]
    assert [row["first_pass"] for row in rows] == ['{"decided":true,"scores":{"weapons":0.1}}', None]


@pytest.mark.parametrize("names", ["truncated", [1], ['a"truncated"'], [""]])
def test_features_that_are_no_names_are_refused(names: object) -> None:
    with pytest.raises(NotAVerdictError, match="its ambiguous"):
        row_of(a_verdict(ambiguous=names))


def test_every_category_of_the_taxonomy_has_its_columns() -> None:
    names = set(verdict_schema().names)
    assert {
        column
        for name in NAMES
        for column in (*score_columns(name), f"uncalibrated_{name}", f"asked_{name}", f"hint_{name}")
    } <= names


def test_a_category_that_is_not_covered_has_no_score() -> None:
    row = row_of(a_verdict(scores={"weapons": 0.0}))
    assert row["score_weapons"] == 0.0
    assert row.get("score_alcohol") is None


def test_how_a_score_came_about_stands_beside_it() -> None:
    row = row_of(
        a_verdict(
            scores={"weapons": 0.7, "alcohol": 0.2},
            asked=["weapons"],
            hints=["alcohol"],
            uncalibrated={"weapons": 0.9},
        )
    )
    assert (row["asked_weapons"], row["hint_weapons"], row["uncalibrated_weapons"]) == (True, False, 0.9)
    assert (row["asked_alcohol"], row["hint_alcohol"], row["uncalibrated_alcohol"]) == (False, True, None)


def test_frames_are_ranked_for_each_category_by_itself() -> None:
    frames = [
        {"scores": {"weapons": 0.1, "alcohol": 0.9}, "asked": ["alcohol"], "uncalibrated": {"alcohol": 0.95}},
        {"scores": {"weapons": 0.8, "alcohol": 0.3}, "asked": [], "uncalibrated": {}},
        {"scores": {"weapons": 0.5, "alcohol": 0.2}, "asked": ["weapons"], "uncalibrated": None},
    ]

    row = row_of(a_verdict(scores={"weapons": 0.5, "alcohol": 0.3}, frames=frames))

    assert [row.get(column) for column in score_columns("weapons")] == [0.8, 0.5, 0.1, None]
    assert [row.get(column) for column in score_columns("alcohol")] == [0.9, 0.3, 0.2, None]
    assert (row["asked_weapons"], row["asked_alcohol"], row["uncalibrated_alcohol"]) == (False, True, 0.95)


def test_a_policy_s_own_category_has_columns_behind_the_taxonomy() -> None:
    row = row_of(a_verdict(scores={"brand_risk": 0.4}))
    assert own_categories_of(row) == {"brand_risk"}
    assert verdict_schema(["brand_risk"]).names[-7:-3] == list(score_columns("brand_risk"))


@pytest.mark.parametrize("name", ["2_weapons", 'x" OR 1=1 --', "Weapons", "", "é"])
def test_a_category_whose_columns_would_be_taken_for_others_has_none(name: str) -> None:
    row = row_of(a_verdict(scores={name: 0.4, "weapons": 0.2}))
    assert row.keys() <= set(verdict_schema().names)
    assert row.get("score_2_weapons") is None


def test_a_moment_is_stored_in_utc() -> None:
    row = row_of(a_verdict(moderated_at="2026-03-01T01:30:00+02:00"))
    assert row["moderated_at"] == datetime(2026, 2, 28, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"image_id": None}, "image_id"),
        ({"tenant": 7}, "tenant"),
        ({"decision": "maybe"}, "decision"),
        ({"status": None}, "status"),
        ({"moderated_at": "yesterday"}, "time"),
        ({"moderated_at": None}, "time"),
        ({"scores": None}, "scores"),
        ({"scores": [0.5]}, "scores"),
        ({"scores": {"weapons": 1.5}}, "weapons"),
        ({"scores": {"weapons": float("nan")}}, "weapons"),
        ({"scores": {"weapons": True}}, "weapons"),
        ({"scores": {"weapons": "0.5"}}, "weapons"),
        ({"frames": [{"scores": None}]}, "frames"),
        ({"scores": {"weapons": 0.5}, "frames": [{"scores": {"weapons": 0.5, "alcohol": 0.9}}]}, "frames"),
        ({"scores": {"weapons": 0.5, "alcohol": 0.9}, "frames": [{"scores": {"weapons": 0.5}}]}, "frames"),
        ({"image": {"width": 2**63}}, "width"),
        ({"not_covered": [1]}, "not_covered"),
        ({"label_mass": "high"}, "label_mass"),
    ],
)
def test_what_is_no_verdict_is_refused_with_its_field(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(NotAVerdictError, match=named):
        row_of(a_verdict(**wrong))


@pytest.mark.parametrize("document", [None, 3, [], "text"])
def test_other_json_is_no_verdict(document: object) -> None:
    with pytest.raises(NotAVerdictError):
        row_of(document)


@pytest.mark.parametrize(
    "fields",
    [
        {"frames": 5},
        {"frames": True},
        {"frames": [{"scores": {"weapons": 0.1}, "asked": 5}]},
        {"frames": [{"scores": {"weapons": 0.1}, "uncalibrated": [1]}]},
        {"frames": [{"scores": {"weapons": 0.1}, "uncalibrated": {"weapons": "x"}}]},
        {"hints": 5},
        {"hints": [[]]},
        {"asked": True},
        {"asked": [{}]},
        {"uncalibrated": "x"},
        {"uncalibrated": {"weapons": "x"}},
        {"uncalibrated": {"weapons": 2**64 - 1}},
        {"label_mass": 2**64 - 1},
        {"timings_ms": {"total": 2**64 - 1}},
        {"context": {"deep": json.loads("[" * 300 + "]" * 300)}},
        {"context": {"stored": b"as Parquet holds it"}},
        {"scores": {5: 0.1}},
    ],
    ids=str,
)
def test_what_no_column_can_hold_is_no_verdict_and_ends_no_archiver(fields: dict[str, Any]) -> None:
    document = a_verdict(frames=None, scores={"weapons": 0.1}) | fields
    with pytest.raises(NotAVerdictError):
        row_of(document)
