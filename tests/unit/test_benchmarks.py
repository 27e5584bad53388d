"""The benchmarks can be listed everywhere, also where they cannot run."""

import subprocess
import sys

WITHOUT_VLLM = """
import runpy, sys

sys.modules["vllm"] = None  # as where it is not installed
sys.argv = ["benchmarks", "--vision", "unknown"]
runpy.run_module("benchmarks", run_name="__main__")
"""


def test_benchmarks_of_the_vision_model_are_listed_without_vllm() -> None:
    listed = subprocess.run([sys.executable, "-c", WITHOUT_VLLM], capture_output=True, text=True, check=False)
    assert "there are: api, engine, first_pass, first_tries, saturation" in " ".join(listed.stdout.split()), (
        listed.stderr
    )
