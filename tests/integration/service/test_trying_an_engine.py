import json
import os
import subprocess
import sys
from pathlib import Path

PHOTOGRAPHS = Path(__file__).parents[3] / "service/tools/demo/photographs"


def engine_try(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service", "engine", "try", *map(str, arguments)]
    wide = os.environ | {"COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=wide)


def test_a_photograph_gets_its_verdict_and_tags_without_kafka(tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("no image", encoding="utf-8")
    result = engine_try(PHOTOGRAPHS / "beer.jpg", tmp_path, "--tags", "--json")
    assert result.returncode == 1
    beer, notes, rate = map(json.loads, result.stdout.splitlines())
    assert (beer["verdict"]["decision"], beer["verdict"]["deciding_category"]) == ("review", "alcohol")
    assert beer["tags"]["attributes"]
    assert (notes["verdict"], notes["not_judged"]["reason"]) == (None, "image.unsupported_format")
    assert rate["images"] == 2


def test_wrong_arguments_load_no_model() -> None:
    assert engine_try("absent.jpg").returncode == 2
    result = engine_try(PHOTOGRAPHS / "beer.jpg", "--policy", "x" * 300)
    assert result.returncode == 2
    assert "policy" in result.stderr
