import pytest

from service.api.judging.batch_lines import Line, LineSplitter


def split(body: bytes, *, part_bytes: int = 1000, max_bytes: int = 100) -> list[Line]:
    splitter = LineSplitter(max_bytes)
    parts = [body[at : at + part_bytes] for at in range(0, len(body), part_bytes)]
    return [line for part in parts for line in splitter.feed(part)] + [*splitter.end()]


@pytest.mark.parametrize("part_bytes", [1, 2, 3, 1000])
def test_lines_are_the_same_however_the_body_is_cut(part_bytes: int) -> None:
    body = b'{"a":1}\n{"b":2}\r\n\n{"c":3}'
    expected = [Line(1, b'{"a":1}'), Line(2, b'{"b":2}'), Line(4, b'{"c":3}')]
    assert split(body, part_bytes=part_bytes) == expected


def test_a_final_line_break_adds_no_line() -> None:
    assert split(b"1\n2\n") == [Line(1, b"1"), Line(2, b"2")]


def test_empty_lines_count_and_are_left_out() -> None:
    assert split(b"\n \r\n1") == [Line(3, b"1")]


def test_an_empty_body_has_no_lines() -> None:
    assert split(b"") == []


def test_a_byte_order_mark_is_left_out() -> None:
    assert split(b"\xef\xbb\xbf1\n\xef\xbb\xbf2") == [Line(1, b"1"), Line(2, b"\xef\xbb\xbf2")]


@pytest.mark.parametrize("part_bytes", [1, 7, 1000])
def test_a_line_that_is_too_long_is_dropped_and_the_next_one_is_read(part_bytes: int) -> None:
    body = b"x" * 10 + b"\n" + b"x" * 11 + b"\n1\n" + b"x" * 11
    expected = [Line(1, b"x" * 10), Line(2, None), Line(3, b"1"), Line(4, None)]
    assert split(body, part_bytes=part_bytes, max_bytes=10) == expected


def test_a_line_without_an_end_takes_no_more_memory_than_a_line_may() -> None:
    splitter = LineSplitter(1000)
    for _ in range(100):
        assert [*splitter.feed(b"x" * 900)] == []
        assert len(splitter._begun) <= 1000
