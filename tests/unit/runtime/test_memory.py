"""Large blocks of memory go back to the system, and a process that lives long looks for garbage less often."""

import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator

import pytest

from service.runtime.memory import tune_gc

GROW_AND_SHRINK = """
import resource
from pathlib import Path
from service.runtime.memory import give_large_blocks_back

def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1024**2

assert give_large_blocks_back()
before = resident_mib()
kept = []
for _ in range(8):
    blocks = [bytearray(24 * 1024**2) for _ in range(4)]
    kept.append(bytearray(1024))  # in between, and long-lived
    del blocks
print(resident_mib() - before)
"""


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


def test_freed_large_blocks_are_given_back() -> None:
    reported = subprocess.run([sys.executable, "-c", GROW_AND_SHRINK], capture_output=True, text=True, check=True)
    assert float(reported.stdout) < 8
