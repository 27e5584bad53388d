"""Bytes leave in the order in which they came, whatever the pieces."""

from hypothesis import given
from hypothesis import strategies as st

from service.http.read_ahead import ReadAhead


@given(st.lists(st.binary(min_size=1, max_size=20)), st.lists(st.integers(1, 30)))
def test_no_byte_is_lost_or_changed(pieces: list[bytes], sizes: list[int]) -> None:
    ahead, taken, turns = ReadAhead(), b"", iter(sizes)
    for piece in pieces:
        ahead.add(piece)
        taken += ahead.take(next(turns, 1))
    assert taken + ahead.take(len(ahead) or 1) == b"".join(pieces)
    assert not ahead


@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n"]), max_size=12), st.data())
def test_the_blank_line_is_found_however_it_arrives(text: list[bytes], data: st.DataObject) -> None:
    whole = b"HTTP/1.1 200 OK" + b"".join(text) + b"\r\n\r\n"
    at_once = ReadAhead()
    at_once.add(whole)
    ahead, end = ReadAhead(), 0
    for start in range(0, len(whole), size := data.draw(st.integers(1, 5))):
        ahead.add(whole[start : start + size])
        end = end or ahead.end_of_head()
    assert end == at_once.end_of_head() > 0


def test_a_whole_piece_is_not_copied() -> None:
    ahead, piece = ReadAhead(), b"x" * 1000
    ahead.add(piece)
    assert ahead.take(1000) is piece


def test_what_cannot_begin_an_http_answer_is_refused_by_its_first_bytes() -> None:
    for front, is_http in [(b"H", True), (b"HTTP/1.1", True), (b"\r\nHTTP", True), (b"SSH-2", False), (b"HTTX", False)]:
        ahead = ReadAhead()
        ahead.add(front)
        assert ahead.is_http() is is_http
