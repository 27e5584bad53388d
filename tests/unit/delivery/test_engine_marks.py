"""What is remembered of a partition for the case that the engine dies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.delivery.engine_marks import Marks, Suspect

OFFSETS = st.integers(0, 2**62)
SUSPECTS = st.dictionaries(OFFSETS, st.builds(Suspect, st.integers(0, 9), st.integers(0, 2**42)), max_size=20)


@given(st.booleans(), st.integers(0, 99), st.sets(OFFSETS, max_size=20), SUSPECTS)
def test_marks_come_back_as_they_were(
    is_running: bool, crashes: int, inside: set[int], suspects: dict[int, Suspect]
) -> None:
    suspects = {offset: each if each.deaths else Suspect() for offset, each in suspects.items()}
    marks = Marks(is_running, crashes, dict.fromkeys(inside, 0), suspects=suspects)
    if is_running:
        assert Marks.decode(marks.encode()) == marks


def test_a_record_that_is_alone_comes_back_with_its_time() -> None:
    marks = Marks(is_running=True, inside={7: 1_700_000_000_000}, is_alone=True)
    assert Marks.decode(marks.encode()) == marks


def test_nothing_to_remember_is_no_text() -> None:
    assert Marks().encode() == ""
    assert Marks(crashes=3).encode() == ""


def test_what_was_inside_at_a_crash_is_suspect_and_only_what_was_alone_has_a_death() -> None:
    assert Marks(True, 0, {5: 0, 7: 0}).after_crash() == Marks(crashes=1, suspects={5: Suspect(), 7: Suspect()})
    alone = Marks(True, 1, {5: 99}, is_alone=True, suspects={5: Suspect(), 7: Suspect()})
    assert alone.after_crash() == Marks(crashes=2, suspects={5: Suspect(1, 99), 7: Suspect()})


@given(st.integers(1, 3000), st.integers(1, 50_000))
def test_a_text_fits_the_brokers_limit_and_keeps_those_with_deaths(count: int, step: int) -> None:
    suspects = {10**15 + number * step: Suspect() for number in range(count)} | {
        10**15 + 1: Suspect(1, 1_700_000_000_000)
    }
    inside = dict.fromkeys(range(10**15, 10**15 + count), 0)
    text = Marks(True, 5, inside, suspects=suspects).encode()
    assert len(text) <= 4096
    assert Marks.decode(text).suspects[10**15 + 1] == Suspect(1, 1_700_000_000_000)


@pytest.mark.parametrize("text", ["ms1:AAAA", "{", "[]", "7", "{}", '{"v":2}', '{"v":1}', '{"v":1,"base":"x"}', "\x00"])
def test_a_text_of_another_form_counts_as_nothing(text: str) -> None:
    assert Marks.decode(text) == Marks()
