"""Bounds what is read of a collector's answers: an address of another service may answer without end."""

from contextlib import suppress
from typing import Any

from urllib3.exceptions import HTTPError

MAX_ANSWER_BYTES = 64 * 1024
"""A collector answers with a few bytes, or with an error in words."""


def bound_answers(exporter: Any) -> None:
    """Let an OTLP exporter over HTTP read no more of an answer than that; it uses only the status and the headers."""
    exporter._client._transport._session.hooks["response"].append(_read_little)


def _read_little(response: Any, **_: object) -> None:
    """Read an answer, whose connection can then be used again; requests calls it before it would read all."""
    with suppress(HTTPError, OSError):  # the status has arrived
        response.raw.read(MAX_ANSWER_BYTES)
    response.close()
