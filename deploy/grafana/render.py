"""From boards to Grafana's JSON, by its own SDK."""

import json
from collections.abc import Iterator

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from deploy.grafana.board import Board, Kind, Panel, Row, Source
from deploy.grafana.shapes import AnyPanel, shape
from deploy.grafana.targets import data_source, targets
from deploy.grafana.variables import variables

# As fine as scrapes usually are; more often would ask Prometheus for points that it does not have.
REFRESH = "30s"
TAG = "modstream"


def as_json(board: Board) -> str:
    """Return a dashboard as Grafana imports it."""
    built = _dashboard(board).build()
    number_panels(built)
    return json.dumps(built, cls=JSONEncoder, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def number_panels(built: models.Dashboard) -> None:
    """Give each panel the number that links to it name."""
    number = 0
    for panel in built.panels or ():
        for each in (panel, *(panel.panels if isinstance(panel, models.RowPanel) else ())):
            number += 1
            each.id_val = number


def _dashboard(board: Board) -> dashboard.Dashboard:
    page = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.summary)
        .tags([TAG])
        .time(board.since, "now")
        .refresh(REFRESH)
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .readonly()
        .variables(list(variables(board)))
        .link(_to_the_others())
        .annotation(_alerts())
    )
    for panel in _panels(board):
        if isinstance(panel, dashboard.Row):
            page.with_row(panel)
        else:
            page.with_panel(panel)
    return page


def _panels(board: Board) -> Iterator[dashboard.Row | AnyPanel]:
    """Yield headings and panels in reading order; a folded row carries its panels itself."""
    for row in board.rows:
        yield _heading(row)
        if not row.folded:
            yield from (_panel(panel) for panel in row.panels)


def _heading(row: Row) -> dashboard.Row:
    heading = dashboard.Row(row.title)
    if row.folded:
        heading.collapsed(True)
        for panel in row.panels:
            heading.with_panel(_panel(panel))
    return heading


def _panel(panel: Panel) -> AnyPanel:
    shown = shape(panel)
    shown.title(panel.title).description(panel.advice).span(panel.width).height(panel.height)
    if panel.kind is not Kind.NOTE:
        shown.datasource(data_source(panel.source)).targets(list(targets(panel)))
    return shown


def _to_the_others() -> dashboard.DashboardLink:
    link = dashboard.DashboardLink("modstream").type(models.DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.as_dropdown(False).keep_time(True)


def _alerts() -> dashboard.AnnotationQuery:
    """Mark on every graph when an alert of ours fired."""
    return (
        dashboard.AnnotationQuery()
        .name("Alerts")
        .datasource(data_source(Source.PROMETHEUS))
        .expr('ALERTS{alertname=~"Modstream.*", alertstate="firing", job=~"$job"}')
        .icon_color("red")
        .enable(True)
    )
