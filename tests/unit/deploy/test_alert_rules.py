"""The rules: promtool's tests, and that every alert has a runbook."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy/prometheus/rules.yaml"
TESTS = sorted((ROOT / "deploy/prometheus/tests").glob("*.yaml"))
RUNBOOKS = ROOT / "docs/runbooks"

HEADINGS = ["What it means", "Look here", "Do this", "How to verify"]

Rule = dict[str, object]


def alerts() -> dict[str, Rule]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def expectations() -> dict[str, list[bool]]:
    """Return for each alert what its tests expect: that it fires, that it does not."""
    found: dict[str, list[bool]] = {}
    for path in TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test.get("alert_rule_test", ()):
                found.setdefault(case["alertname"], []).append(bool(case["exp_alerts"]))
    return found


@pytest.mark.tool("prometheus")
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_rules_alert_when_they_should_and_only_then(path: Path) -> None:
    command = ["promtool", "test", "rules", str(path)]
    # A process this short spends a quarter of its time on garbage that it could leave.
    environment = {**os.environ, "GOGC": "400"}
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_every_alert_is_seen_to_fire() -> None:
    assert {name for name, fires in expectations().items() if True in fires} == set(alerts())


def test_every_alert_is_seen_to_stay_silent() -> None:
    assert {name for name, fires in expectations().items() if False in fires} == set(alerts())


@pytest.mark.parametrize("name", alerts())
def test_every_alert_says_what_to_do(name: str) -> None:
    alert = alerts()[name]
    assert alert["labels"] in ({"severity": "page"}, {"severity": "ticket"})
    annotations = alert["annotations"]
    assert isinstance(annotations, dict)
    assert set(annotations) == {"summary", "description", "runbook_url"}
    text = (ROOT / annotations["runbook_url"]).read_text()
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == HEADINGS


def test_every_runbook_belongs_to_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(alerts())
