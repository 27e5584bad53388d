"""How each kind of panel looks in Grafana."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from grafana_foundation_sdk.builders import common, dashboard, heatmap, stat, table, text, timeseries
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.text import TextMode

from deploy.grafana.board import Kind, Limit, Panel

AnyPanel = timeseries.Panel | stat.Panel | heatmap.Panel | table.Panel | text.Panel | dashboard.Panel

# Faint enough that lines behind a filled area are still seen.
LINE_FILL = 8
STACK_FILL = 60


def shape(panel: Panel) -> AnyPanel:
    """Return an empty panel of the kind that is asked for."""
    return _SHAPES[panel.kind](panel)


def _lines(panel: Panel) -> timeseries.Panel:
    drawn = (
        timeseries.Panel()
        .unit(panel.unit)
        .min(0)
        .fill_opacity(LINE_FILL)
        .show_points(looks.VisibilityMode.NEVER)
        .legend(common.VizLegendOptions().show_legend(True).placement(looks.LegendPlacement.BOTTOM))
        .tooltip(common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI).sort(looks.SortOrder.DESCENDING))
    )
    if panel.top is not None:
        drawn.max(panel.top)
    if panel.limits:
        drawn.thresholds(_thresholds(panel.limits))
        drawn.thresholds_style(common.GraphThresholdsStyleConfig().mode(looks.GraphThresholdsStyleMode.DASHED))
    return drawn


def _stack(panel: Panel) -> timeseries.Panel:
    stacked = common.StackingConfig().mode(looks.StackingMode.NORMAL).group("A")
    return _lines(panel).fill_opacity(STACK_FILL).stacking(stacked)


def _number(panel: Panel) -> stat.Panel:
    drawn = (
        stat.Panel()
        .unit(panel.unit)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .graph_mode(looks.BigValueGraphMode.NONE)
        .color_mode(looks.BigValueColorMode.BACKGROUND if panel.limits else looks.BigValueColorMode.NONE)
        .no_value("no data")
    )
    return drawn.thresholds(_thresholds(panel.limits)) if panel.limits else drawn


def _heatmap(panel: Panel) -> heatmap.Panel:
    return (
        heatmap.Panel()
        .calculate(False)
        .color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64))
        .y_axis(heatmap.YAxisConfig().unit(panel.unit))
        .cell_gap(1)
        .show_y_histogram()
        .exemplars_color("rgba(0, 90, 255, 0.8)")
    )


def _table(panel: Panel) -> table.Panel:
    return table.Panel().unit(panel.unit).sort_by([common.TableSortByFieldState().display_name("Value").desc(True)])


def _note(panel: Panel) -> text.Panel:
    return text.Panel().mode(TextMode.MARKDOWN).content(panel.text)


def _traces(_panel: Panel) -> table.Panel:
    return table.Panel()


def _trace(_panel: Panel) -> dashboard.Panel:
    return dashboard.Panel().type("traces")


def _thresholds(limits: tuple[Limit, ...]) -> dashboard.ThresholdsConfig:
    # Grafana wants the first step to begin nowhere.
    steps = [models.Threshold(limit.value if place else None, limit.colour) for place, limit in enumerate(limits)]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


_SHAPES: Mapping[Kind, Callable[[Panel], AnyPanel]] = MappingProxyType(
    {
        Kind.NUMBER: _number,
        Kind.LINES: _lines,
        Kind.STACK: _stack,
        Kind.HEATMAP: _heatmap,
        Kind.TABLE: _table,
        Kind.NOTE: _note,
        Kind.TRACES: _traces,
        Kind.TRACE: _trace,
    }
)
