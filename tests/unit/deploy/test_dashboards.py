"""The dashboards as they are committed."""

import re
from pathlib import Path

import pytest
import yaml

from deploy.grafana.__main__ import DASHBOARDS, dashboards
from deploy.grafana.promql import TRIED_AGAIN
from deploy.grafana.reading import Shown, read_board
from service.core.errors import RejectedError
from service.telemetry.instruments import declarations
from tests.unit.test_house_rules import error_classes

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy/prometheus/rules.yaml"
BOARDS = sorted(DASHBOARDS.glob("*.json"))

# Of a histogram three series are exported under names of their own.
PARTS = {"histogram": ("_bucket", "_sum", "_count")}


def panels() -> list[tuple[str, Shown]]:
    """Return all panels that are no headings, with the names of their dashboards."""
    return [(path.stem, panel) for path in BOARDS for panel in read_board(path) if panel.kind != "row"]


def queries() -> list[str]:
    return [query.expr for _, panel in panels() for query in panel.queries]


def rules() -> list[str]:
    return [rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def series() -> dict[str, set[str]]:
    """Return by instrument the names that it has on the endpoint."""
    return {
        declared.name: {declared.prometheus_name + part for part in PARTS.get(declared.kind, ("",))}
        for declared in declarations()
    }


def named_metrics(expr: str) -> set[str]:
    return set(re.findall(r"(?<![\w:])modstream_\w+", expr))


def test_the_committed_dashboards_are_as_generated() -> None:
    assert dashboards().differences() == [], "run make dashboards and commit what it changes"


def test_a_dashboard_that_was_changed_by_hand_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = dashboards(tmp_path)
    assert copy.run([], description=None) == 0
    (tmp_path / "cost.json").write_text("{}\n")
    (tmp_path / "own.json").write_text("{}\n")
    assert copy.run(["--check"], description=None) == 1
    reported = capsys.readouterr().err
    assert "cost.json is not as generated" in reported
    assert "own.json is not as generated" in reported


@pytest.mark.parametrize(("name", "panel"), panels(), ids=lambda each: getattr(each, "title", each))
def test_every_panel_says_what_is_normal_or_how_to_use_it(name: str, panel: Shown) -> None:
    assert len(panel.description) > 20
    for runbook in re.findall(r"\bModstream\w+", panel.description):
        assert (ROOT / f"docs/runbooks/{runbook}.md").exists()
    if name == "service":
        assert re.search("Normal|usual|usually", panel.description)


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_panels_lie_side_by_side_and_not_on_each_other(path: Path) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in read_board(path):
        assert panel.x + panel.width <= 24
        for cell in panel.cells():
            assert taken.setdefault(cell, panel.title) == panel.title


def test_dashboards_and_rules_name_only_metrics_that_the_service_has() -> None:
    known = set().union(*series().values())
    assert {name for expr in (*queries(), *rules()) for name in named_metrics(expr)} <= known


def test_attempts_that_are_made_again_are_all_but_those_of_rejected_records() -> None:
    matched = re.fullmatch(r'reason!~"(.+)"', TRIED_AGAIN)
    assert matched
    assert TRIED_AGAIN in RULES.read_text()
    errors = error_classes()
    left_out = {kind.reason for kind in errors if re.fullmatch(matched[1], kind.reason)}
    assert left_out == {kind.reason for kind in errors if issubclass(kind, RejectedError)}


def test_every_metric_is_on_a_dashboard() -> None:
    shown = {name for expr in queries() for name in named_metrics(expr)}
    assert [instrument for instrument, names in series().items() if shown.isdisjoint(names)] == []
