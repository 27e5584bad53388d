"""The environment in which vLLM runs its V2 model runner on a CPU."""

import os
from collections.abc import Mapping
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_ENTRY_POINTS = """\
[triton.backends]
cpu = testing.triton_interpreter
[vllm.general_plugins]
triton_interpreter = testing.triton_interpreter.plugin:avoid_bfloat16_kernel
"""


def v2_on_cpu(folder: Path) -> Mapping[str, str]:
    """Return variables for a process of vLLM, whose Triton finds a backend for CPUs by what is written to `folder`.

    The V2 model runner needs Triton, and the Triton of vLLM's build for CPUs has no backend for them. Its interpreter
    runs the runner's kernels in NumPy: slowly, and with the results of a GPU's logic.
    """
    package = folder / "triton_interpreter-1.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: triton-interpreter\nVersion: 1\n")
    (package / "entry_points.txt").write_text(_ENTRY_POINTS)
    paths = [str(folder), str(_ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "TRITON_INTERPRET": "1",
        "VLLM_USE_V2_MODEL_RUNNER": "1",
    }
