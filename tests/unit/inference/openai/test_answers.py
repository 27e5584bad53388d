"""What answers of servers stand for."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import orjson
import pytest

from service.inference.errors import EngineFailedError, EngineRejectedError
from service.inference.openai.answers import Answer
from service.inference.openai.errors import ServerBusyError


def answer(status: int, message: str | None = None) -> Answer:
    return Answer("gpu-1:8000", status, b"" if message is None else orjson.dumps({"error": {"message": message}}))


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("9" * 400, 999_999_999.0),
        ("-7", None),
        ("7.5", None),
        ("\u0667", None),
        ("soon", None),
        ("Mon, 01 Jan 2020 00:00:00 +99999999999999", None),
        ("Mon, 01 Jan 99999999999999 00:00:00 GMT", None),
        ("", None),
    ],
)
def test_a_busy_server_says_for_how_long(status: int, header: str | None, seconds: float | None) -> None:
    failure = Answer("gpu-1:8000", status, b"", header).failure()
    assert isinstance(failure, ServerBusyError)
    assert failure.asked_pause_s == seconds


def test_a_busy_server_may_name_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    failure = Answer("gpu-1:8000", 429, b"", date).failure()
    assert isinstance(failure, ServerBusyError)
    assert failure.asked_pause_s == pytest.approx(30, abs=3)


@pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 01 Jan 1970 00:00:00 -0000"])
def test_a_date_far_away_is_no_error(date: str) -> None:
    failure = Answer("gpu-1:8000", 503, b"", date).failure()
    assert isinstance(failure, ServerBusyError)
    assert failure.asked_pause_s is not None


@pytest.mark.parametrize(
    ("message", "reported"),
    [
        ("This model's maximum context length is 1024", "This model's maximum context length is 1024"),
        ("bad value 'buy my pills' given", "bad value … given"),
        ('bad value "buy my pills" given', "bad value … given"),
        ("data:image/bmp;base64," + "QUJD" * 100, "…"),
    ],
)
def test_a_message_is_reported_without_what_it_repeats_of_the_request(message: str, reported: str) -> None:
    assert str(answer(400, message).failure()).endswith(f"gpu-1:8000 answered 400: {reported}")


@pytest.mark.parametrize(
    "message",
    [b"[" * 1010 + b"]" * 1010, b"7", b'{"a":"b"}', b"[" + b"{}," * 10_000 + b"{}]", b'"%s"' % (b"word " * 20_000)],
)
def test_a_message_that_is_no_text_or_very_long_is_left_out(message: bytes) -> None:
    body = b'{"error":{"message":' + message + b"}}"
    assert str(Answer("gpu-1:8000", 400, body).failure()).endswith("gpu-1:8000 answered 400")


def test_an_answer_of_very_many_values_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(EngineFailedError, match="more values than any answer has"):
        Answer("gpu-1:8000", 200, b'{"a":[' + b"[]," * 100_000 + b"[]]}").json()


def test_a_message_is_reported_in_short() -> None:
    assert len(str(answer(400, "word " * 1000).failure())) < 300


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":"Unauthorized"}', b'{"error":null}', b"\xff"])
def test_an_error_of_another_form_is_named_by_its_status(body: bytes) -> None:
    assert str(Answer("gpu-1:8000", 400, body).failure()).endswith("gpu-1:8000 answered 400")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"1", b"\xff", b'{"a":NaN}', b'{"a":1e999}', b"[" * 100_000])
def test_a_success_is_a_json_object(body: bytes) -> None:
    with pytest.raises(EngineFailedError):
        Answer("gpu-1:8000", 200, body).json()


def test_what_can_never_succeed_is_not_asked_again() -> None:
    assert isinstance(answer(501).failure(), EngineRejectedError)
