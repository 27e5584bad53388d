"""What answers of servers stand for."""

import orjson
import pytest

from service.inference.errors import EngineFailedError, EngineRejectedError
from service.inference.openai.answers import Answer, Health


def answer(status: int, message: str | None = None) -> Answer:
    return Answer("gpu-1:8000", status, b"" if message is None else orjson.dumps({"error": {"message": message}}))


@pytest.mark.parametrize(
    ("status", "health"),
    [(200, "well"), (400, "well"), (422, "well"), (501, "well"), (429, "busy")]
    + [(status, "ill") for status in (301, 401, 403, 404, 408, 500, 502, 503, 504)],
)
def test_an_answer_tells_how_its_server_is(status: int, health: Health) -> None:
    assert answer(status).health == health


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("This model's maximum context length is 1024", "This model's maximum context length is 1024"),
        ("bad value 'buy my pills' given", "bad value … given"),
        ('bad value "buy my pills" given', "bad value … given"),
        ("data:image/bmp;base64," + "QUJD" * 100, "…"),
    ],
)
def test_a_message_is_told_without_what_it_repeats_of_the_request(message: str, told: str) -> None:
    assert str(answer(400, message).failure()).endswith(f"gpu-1:8000 answered 400: {told}")


def test_a_message_is_told_in_short() -> None:
    assert len(str(answer(400, "word " * 1000).failure())) < 300


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":"Unauthorized"}', b'{"error":null}', b"\xff"])
def test_an_error_of_another_form_is_told_by_its_status(body: bytes) -> None:
    assert str(Answer("gpu-1:8000", 400, body).failure()).endswith("gpu-1:8000 answered 400")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"1", b"\xff"])
def test_a_success_is_a_json_object(body: bytes) -> None:
    with pytest.raises(EngineFailedError):
        Answer("gpu-1:8000", 200, body).json()


def test_what_can_never_succeed_is_not_asked_again() -> None:
    assert isinstance(answer(501).failure(), EngineRejectedError)
