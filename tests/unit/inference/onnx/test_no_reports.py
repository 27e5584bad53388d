"""The embedded engine's library reports to its vendor unless it is kept from it; what is moderated here stays here."""

import subprocess
import sys
from pathlib import Path

ENGINE = "import service.inference.onnx.engine"
LIBRARY = "import onnxruntime"


def files_after(code: str, home: Path) -> list[str]:
    """Return what the code leaves in a home of its own, where the library keeps its device id and its reports."""
    # The library keeps quiet by itself where CI is set.
    environment = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "PYTHONPATH": ":".join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    return [str(path.relative_to(home)) for path in home.rglob("*")]


def test_the_engine_makes_no_device_id_and_no_reports(tmp_path: Path) -> None:
    assert files_after(ENGINE, tmp_path) == []


def test_the_library_alone_makes_them(tmp_path: Path) -> None:
    assert files_after(LIBRARY, tmp_path), "it has stopped: service/inference/onnx/library.py can go"
