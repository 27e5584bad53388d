"""The files and modules that documents, build files and messages name exist."""

import importlib.util
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

FOLDERS = "service|schemas|testing|tests|benchmarks|scripts|deploy|requirements|docs"
FILE = re.compile(rf"(?<![\w./*{{}}-])((?:{FOLDERS})/[\w./-]*\w\.(?:py|md|yaml|yml|json|txt|png|svg|whl))\b(?![*\w])")
MODULE = re.compile(rf"\bpython3? (?:-W \w+ )?-m ((?:{FOLDERS})(?:\.\w+)*)")

# Text of others, and a history that names what is gone.
FOREIGN = ("CHANGELOG.md", "testing/tiny_model/qwen3", "testing/data/")
# A page of vLLM's own documentation.
ELSEWHERE = {"docs/source/performance/perf-overview.md"}


def texts() -> Iterator[tuple[Path, str]]:
    """Yield every tracked text of this project."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
    for name in filter(None, listing.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(FOREIGN) and b"\0" not in (ROOT / name).read_bytes():
            yield ROOT / name, (ROOT / name).read_text(encoding="utf-8")


def can_be_run(module: str) -> bool:
    found = importlib.util.find_spec(module)
    return found is not None and (
        not found.submodule_search_locations or importlib.util.find_spec(f"{module}.__main__") is not None
    )


def test_files_that_are_named_exist() -> None:
    named = {(path, file) for path, text in texts() for file in FILE.findall(text) if file not in ELSEWHERE}
    assert [
        (str(path), file) for path, file in named if not any((top / file).exists() for top in (ROOT, path.parent))
    ] == []


def test_modules_that_are_to_be_run_exist() -> None:
    named = {(path, module) for path, text in texts() for module in MODULE.findall(text)}
    assert [(str(path), module) for path, module in named if not can_be_run(module)] == []
