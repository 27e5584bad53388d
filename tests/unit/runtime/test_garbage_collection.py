"""The garbage collector of a process that lives long."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from service.runtime.allocator import tune_gc


class Cycle:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()


def test_what_start_up_made_is_looked_at_no_more() -> None:
    tune_gc()
    assert gc.get_freeze_count() > 10_000


def test_cycles_made_later_are_still_collected() -> None:
    tune_gc()
    gone = weakref.ref(Cycle())
    kept: list[object] = []
    while gone() is not None:
        kept.append([])
        assert len(kept) < 100_000
