"""What is remembered of engines that a record was in when they stopped working."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.losses import EngineLosses


def test_one_loss_makes_a_suspect() -> None:
    losses = EngineLosses()
    assert not losses.is_suspect
    losses.add(alone=False)
    assert losses.is_suspect


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_counts_travel_in_a_header(among_others: int, halves: int) -> None:
    losses = EngineLosses(among_others, halves / 2)
    assert EngineLosses.decode(losses.encode()) == losses


@pytest.mark.parametrize("text", [b"", b"1", b"1,", b",1", b"-1,1", b"a,b", b"1,1,1", b"9" * 5000 + b",1", b"\xff"])
def test_anything_else_counts_as_no_loss(text: bytes) -> None:
    assert EngineLosses.decode(text) == EngineLosses()
