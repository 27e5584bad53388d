"""Large blocks of memory go back to the system."""

import subprocess
import sys

GROW_AND_SHRINK = """
import resource
from pathlib import Path
from service.runtime.allocator import give_large_blocks_back

def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1024**2

assert give_large_blocks_back()
before = resident_mib()
kept = []
for _ in range(20):
    blocks = [bytearray(24 * 1024**2) for _ in range(4)]
    kept.append(bytearray(1024))  # in between, and long-lived
    del blocks
print(resident_mib() - before)
"""


def test_freed_large_blocks_are_given_back() -> None:
    told = subprocess.run([sys.executable, "-c", GROW_AND_SHRINK], capture_output=True, text=True, check=True)
    assert float(told.stdout) < 8
