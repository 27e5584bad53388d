"""What documents say of alerts, dashboards and incidents."""

import re
from pathlib import Path

import yaml

from testing.incidents.scenarios import SCENARIOS

ROOT = Path(__file__).parents[3]


def test_the_table_of_alerts_is_complete_and_true() -> None:
    groups = yaml.safe_load((ROOT / "deploy/prometheus/rules.yaml").read_text())["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    row = re.compile(r"^\| \[(\w+)\]\(runbooks/\w+\.md\) \| (\w+) \| (.+) \|$", re.MULTILINE)
    rows = row.findall((ROOT / "docs/dashboards.md").read_text())
    assert rows == [(rule["alert"], rule["labels"]["severity"], rule["annotations"]["summary"]) for rule in alerts]


def test_every_incident_is_walked_through_with_pictures() -> None:
    text = (ROOT / "docs/operate.md").read_text()
    for scenario in SCENARIOS.values():
        assert scenario.title.lower() in text.lower()
        assert f"images/incidents/{scenario.name}.png" in text
        assert f"images/incidents/{scenario.name}-top.svg" in text
