"""Heads of answers that browsers understand become ones that the parser takes."""

import pytest

from service.http.answer_head import tolerated

START = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        b"",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5, 6\r\n",
        b"X-Content-Length: 5\r\nContent-Length: 5\r\n",
        b"X: Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: gzip\r\n",
    ],
)
def test_any_other_head_stays_as_it_is(headers: bytes) -> None:
    assert tolerated(START + headers + b"\r\n") == START + headers + b"\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\ncontent-length:5 \r\n",
        b"Content-Length: 5, 5,5\r\n",
        b"Content-Length: 5\nContent-Length: 5\n",
    ],
)
def test_equal_lengths_become_one(headers: bytes) -> None:
    assert tolerated(START + b"A: b\r\n" + headers + b"\r\n") == START + b"Content-Length: 5\r\nA: b\r\n\r\n"


def test_a_length_beside_chunks_goes() -> None:
    head = START + b"Content-Length: 9\r\nTransfer-Encoding: Chunked\r\n\r\n"
    assert tolerated(head) == START + b"Transfer-Encoding: Chunked\r\n\r\n"
