"""Pictures of dashboards, from canned answers."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

from deploy.grafana.answers import Window, last, lines
from deploy.grafana.pictures import picture, save
from deploy.grafana.reading import Shown, ShownQuery, concrete

WINDOW = Window(begin_s=1000.0, end_s=1060.0, rate_interval_s=10.0, chosen={"stage": "fetch"})


class CannedPrometheus:
    """Answers every question with two series, and remembers the questions."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def ask(self, what: str, asked: Mapping[str, str]) -> list[Mapping[str, object]]:
        assert what == "query_range"
        self.asked.append(asked["query"])
        labels = {"stage": "fetch", "outcome": "judged", "alertname": "ModstreamStuck"}
        return [
            {"metric": labels | {"le": "1.0"}, "values": [[1000.0, "1"], [1030.0, "NaN"], [1060.0, "3"]]},
            {"metric": labels | {"le": "+Inf"}, "values": [[1000.0, "2"], [1060.0, "5"]]},
        ]


@pytest.mark.parametrize("board", ["decisions", "cost"])
def test_a_dashboard_is_drawn_with_all_its_panels(board: str, tmp_path: Path) -> None:
    prometheus = CannedPrometheus()
    figure = picture(board, WINDOW, prometheus.ask, marks={"breaks": 20.0}, alerts=True)
    save(figure, tmp_path / "board.png")
    with Image.open(tmp_path / "board.png") as drawn:
        assert drawn.width > 1000
    assert not [expr for expr in prometheus.asked if "$" in expr]


def test_chosen_rows_are_drawn_alone() -> None:
    prometheus = CannedPrometheus()
    picture("service", WINDOW, prometheus.ask, rows=["GPU"])
    assert len(prometheus.asked) == 3
    assert all("modstream_gpu_" in expr for expr in prometheus.asked)


def test_series_are_named_by_the_legend_and_their_newest_number_is_known() -> None:
    panel = Shown("t", "timeseries", "", (ShownQuery("x", "{{stage}} p50"),), "s", False, (), 0, 0, 8, 8)
    first, _ = lines(panel, WINDOW, CannedPrometheus().ask)
    assert first.name == "fetch p50"
    assert first.seconds == (0.0, 30.0, 60.0)
    assert last(first) == 3.0


def test_variables_that_nobody_chose_are_everything() -> None:
    expr = 'rate(x{job=~"$job", stage=~"${stage}"}[$__rate_interval])'
    assert concrete(expr, rate_interval="30s", chosen={"stage": "fetch"}) == 'rate(x{job=~".*", stage=~"fetch"}[30s])'
