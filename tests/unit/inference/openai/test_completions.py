"""Log-probabilities and texts in chat completions."""

import math
from collections.abc import Mapping
from typing import Any

import pytest

from service.inference.errors import EngineFailedError
from service.inference.openai.completions import first_step, is_incomplete, of_words, others, written
from service.inference.vision.token_model import GeneratedText


def completion(first: tuple[str, float], *top: tuple[str, float], finish_reason: str = "length") -> Mapping[str, Any]:
    reported = [{"token": token, "logprob": value} for token, value in top]
    step = {"token": first[0], "logprob": first[1], "top_logprobs": reported}
    return {"choices": [{"finish_reason": finish_reason, "logprobs": {"content": [step]}}]}


def test_tokens_are_found_by_their_number() -> None:
    step = first_step(completion(("token_id:7", -0.1), ("token_id:7", -0.1), ("token_id:8", -2.0)))
    assert of_words(step, {"A": 7, "B": 8, "C": 9}) == {"A": -0.1, "B": -2.0, "C": -math.inf}


def test_tokens_are_found_by_their_text_where_they_have_no_number() -> None:
    step = first_step(completion(("A", -0.1), ("A", -0.1), ("ye", -3.0), ("y", -1.0), ("", -0.5), ("yesterday", -0.6)))
    assert of_words(step, {"A": 0, "yes": 1, "no": 2}) == {"A": -0.1, "yes": -3.0, "no": -math.inf}


def test_the_token_that_was_generated_counts_although_it_is_not_among_the_likeliest() -> None:
    assert of_words(first_step(completion(("A", -5.0), ("I", -0.1))), {"A": 0}) == {"A": -5.0}


def test_what_stands_for_no_chance_at_all_is_none() -> None:
    assert first_step(completion(("A", -0.1), ("B", -9999.0)))["B"] == -math.inf


def test_what_is_left_out_and_what_is_added_is_noticed() -> None:
    step = first_step(completion(("token_id:7", -0.1), ("token_id:8", -9999.0), ("token_id:9", -9999.0)))
    assert is_incomplete(step, [7, 8, 10])
    assert not is_incomplete(step, [7, 8])
    assert others(step, [8])
    assert not others(step, [7])


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"choices": []},
        {"choices": [{"logprobs": None}]},
        {"choices": [{"logprobs": {"content": []}}]},
        {"choices": [{"logprobs": {"content": [{"token": "A", "logprob": None, "top_logprobs": []}]}}]},
        completion(("A", -0.1), finish_reason="error"),
    ],
)
def test_an_answer_without_a_first_token_is_a_failure(answer: Mapping[str, Any]) -> None:
    with pytest.raises(EngineFailedError):
        first_step(answer)


def text_of(text: str, *pieces: str) -> Mapping[str, Any]:
    steps = [{"token": piece, "logprob": -0.5} for piece in pieces]
    return {"choices": [{"message": {"content": text}, "finish_reason": "stop", "logprobs": {"content": steps}}]}


def test_a_text_comes_in_the_pieces_that_it_was_written_in() -> None:
    assert written(text_of("{}", "{", "}"), max_tokens=64) == GeneratedText("{}", [("{", -0.5), ("}", -0.5)])


def test_the_token_that_ends_a_text_is_no_piece_of_it() -> None:
    assert written(text_of("{}", "{}", "<|im_end|>"), max_tokens=64) == GeneratedText("{}", [("{}", -0.5)])
    assert written(text_of("{}", "{}", ""), max_tokens=64).text == "{}"


def test_pieces_that_do_not_make_up_the_text_are_left_out() -> None:
    assert written(text_of('"é"', '"', "\ufffd", "\ufffd", '"'), max_tokens=64) == GeneratedText('"é"')
    assert written({"choices": [{"message": {"content": "{}"}}]}, max_tokens=64) == GeneratedText("{}")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"choices": []},
        {"choices": [{"message": {"content": None}}]},
        {"choices": [{"message": {"content": "{}"}, "finish_reason": "error"}]},
    ],
)
def test_an_answer_without_a_text_is_a_failure(answer: Mapping[str, Any]) -> None:
    with pytest.raises(EngineFailedError):
        written(answer, max_tokens=64)


@pytest.mark.parametrize("value", ["nan", "-1", "-inf", True, None, [], 10 * "9"])
def test_a_probability_that_is_no_number_is_not_taken_for_none(value: Any) -> None:
    with pytest.raises(EngineFailedError, match="no log-probabilities"):
        first_step(completion(("A", -0.1), ("B", value)))


def _nested(depth: int) -> list[Any]:
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    return nested


@pytest.mark.parametrize("token", [None, 7, ["A"], _nested(1010)], ids=["null", "number", "list", "deep list"])
def test_a_token_that_is_no_text_is_a_failure(token: Any) -> None:
    with pytest.raises(EngineFailedError, match="no log-probabilities"):
        first_step(completion(("A", -0.1), (token, -1.0)))
    steps = {"content": [{"token": token, "logprob": -1.0}]}
    assert written({"choices": [{"message": {"content": "x"}, "logprobs": steps}]}, max_tokens=64) == GeneratedText(
        "x", ()
    )


def test_a_text_that_is_longer_than_what_was_asked_for_is_a_failure() -> None:
    with pytest.raises(EngineFailedError, match="more than 64 tokens can hold"):
        written({"choices": [{"message": {"content": "x" * 10_000}}]}, max_tokens=64)
