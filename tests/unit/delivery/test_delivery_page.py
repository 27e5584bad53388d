"""docs/delivery.md describes every module of the delivery core."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_page_names_the_modules_that_exist() -> None:
    page = (ROOT / "docs/delivery.md").read_text(encoding="utf-8")
    parts = page.partition("## The parts")[2].partition("##")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", parts, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}
    modules = {path.stem for path in (ROOT / "service/delivery").glob("*.py")} - {"__init__"}
    assert named == modules
