"""Pictures of dashboards, from canned answers."""

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

from deploy.grafana.reading import concrete
from testing.incidents.pictures import Window, named, picture
from testing.prometheus import Prometheus, Series

WINDOW = Window(begin_s=1000.0, end_s=1002.0, stage="fetch", marks=(1.0,))


class CannedPrometheus(Prometheus):
    """Answers every question with two series, and remembers the questions."""

    def __init__(self) -> None:
        super().__init__("http://prometheus.test")
        self.asked: list[str] = []

    async def range(self, expr: str, *, begin_s: float, end_s: float, step_s: float = 1.0) -> list[Series]:
        self.asked.append(expr)
        labels = {"stage": "fetch", "outcome": "judged", "alertname": "ModstreamStuck"}
        return [({"le": "1.0"} | labels, (1.0, math.nan, 3.0)), (labels, (2.0, 2.0, 5.0))]


@pytest.mark.parametrize("board", ["decisions", "cost"])
async def test_a_dashboard_is_drawn_with_all_its_panels(board: str, tmp_path: Path) -> None:
    prometheus = CannedPrometheus()
    await picture(board, WINDOW, prometheus, tmp_path / "board.png")
    with Image.open(tmp_path / "board.png") as drawn:
        assert drawn.width > 1000
    assert not [expr for expr in prometheus.asked if "$" in expr]


async def test_chosen_rows_are_drawn_alone(tmp_path: Path) -> None:
    prometheus = CannedPrometheus()
    await picture("service", WINDOW, prometheus, tmp_path / "board.png", rows=["GPU"])
    *asked, alerts = prometheus.asked
    assert len(asked) == 3
    assert all("modstream_gpu_" in expr for expr in asked)
    assert alerts.startswith("ALERTS")


@pytest.mark.parametrize(
    ("legend", "labels", "name"),
    [("{{stage}} p50", {"stage": "fetch"}, "fetch p50"), ("", {"le": "0.5"}, "0.5"), ("", {}, "")],
)
def test_series_are_named_by_the_legend(legend: str, labels: Mapping[str, str], name: str) -> None:
    assert named(legend, labels) == name


def test_variables_without_a_choice_match_everything() -> None:
    expr = 'rate(x{job=~"$job", stage=~"${stage}"}[$__rate_interval])'
    assert concrete(expr, rate_interval="30s", chosen={"stage": "fetch"}) == 'rate(x{job=~".*", stage=~"fetch"}[30s])'
