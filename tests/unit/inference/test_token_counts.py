"""Tokens, as far as a server reports them."""

from collections.abc import Mapping
from typing import Any

import pytest

from service.inference.openai.completions import usage
from service.inference.vision.asking_trace import record_token_counts
from testing.metrics import counting, scraped


@pytest.mark.parametrize(
    ("answer", "counted"),
    [
        (
            {
                "usage": {
                    "prompt_tokens": 90,
                    "completion_tokens": 2,
                    "prompt_tokens_details": {"cached_tokens": 64},
                }
            },
            (90, 64, 2),
        ),
        ({"usage": {"prompt_tokens": 90, "completion_tokens": 2, "prompt_tokens_details": None}}, (90, 0, 2)),
        ({"usage": {"prompt_tokens": "many", "completion_tokens": -1}}, (0, 0, 0)),
        ({"usage": None}, (0, 0, 0)),
        ({}, (0, 0, 0)),
    ],
)
def test_what_a_server_reports_is_counted_and_nothing_else(
    answer: Mapping[str, Any], counted: tuple[int, int, int]
) -> None:
    with counting() as metrics:
        record_token_counts(**usage(answer))
        sums = scraped(metrics).by("kind", "modstream_engine_tokens_total")
    assert (sums["prompt"], sums["cached"], sums["generated"]) == counted
