"""The benchmarks can be listed everywhere, also where they cannot run."""

import subprocess
import sys

LIST = """
import sys
sys.modules["vllm"] = None  # as where it is not installed
import benchmarks.vision
from benchmarks.runner import find_benchmarks

for name in find_benchmarks(benchmarks.vision):
    print(name)
"""


def test_benchmarks_of_the_vision_model_are_listed_without_vllm() -> None:
    listed = subprocess.run([sys.executable, "-c", LIST], capture_output=True, text=True, check=False)
    assert (listed.stdout.split(), listed.stderr) == (["engine", "first_tries", "saturation"], "")
