"""What outcomes may hold, beyond what their types say."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.example_files import read_examples
from schemas.registry import VERDICT_V1
from schemas.verdict import ReasonV1, VerdictV1

REVIEW: dict[str, Any] = read_examples(VERDICT_V1)["review"]


@pytest.mark.parametrize("score", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_score_is_a_probability(score: float) -> None:
    with pytest.raises(ValidationError):
        VerdictV1.model_validate(REVIEW | {"scores": {"weapons": score}})


def test_a_reader_of_version_1_understands_a_newer_writer() -> None:
    newer = REVIEW | {"reviewed_by": "someone"}
    newer["reasons"] = [REVIEW["reasons"][0] | {"code": "known_bad_hash", "distance": 3}]
    assert VerdictV1.model_validate(newer).reasons[0].code == "known_bad_hash"


def test_every_field_is_written_even_when_it_is_null() -> None:
    reason = ReasonV1(code="engine_does_not_judge", decision="review", message="No model judged the image")
    assert json.loads(reason.model_dump_json()) == {
        "code": "engine_does_not_judge",
        "category": None,
        "score": None,
        "threshold": None,
        "decision": "review",
        "message": "No model judged the image",
        "explanation": None,
        "feature": None,
    }
