"""The plots of one category: precision against recall, the ROC curve, and its reliability."""

from collections.abc import Sequence

from markupsafe import Markup

from service.tools.evaluation.quality.evaluation import CategoryReport
from service.tools.evaluation.report.plots import Line, curves, reliability


def category_plots(name: str, report: CategoryReport) -> Sequence[Markup]:
    """Return the plots of a category; empty where it has no curves."""
    if not report.curve or report.reliability is None:
        return ()
    return [_precision_recall(name, report), _roc(name, report), _reliability(name, report)]


def _precision_recall(name: str, report: CategoryReport) -> Markup:
    figures = report.metrics.figures
    line = Line(name, [each.recall for each in report.curve], [each.precision for each in report.curve])
    return curves(
        f"{name}: precision and recall",
        [line],
        x="Recall",
        y="Precision",
        description=f"Average precision {_number(figures['average_precision'].value)}",
        points=_point(figures["recall"].value, figures["precision"].value),
    )


def _roc(name: str, report: CategoryReport) -> Markup:
    figures = report.metrics.figures
    line = Line(
        name,
        [0.0, *(each.false_positive_rate for each in report.curve)],
        [0.0, *(each.recall for each in report.curve)],
    )
    return curves(
        f"{name}: ROC",
        [line],
        x="False-positive rate",
        y="Recall",
        description=f"Area under the curve {_number(figures['roc_auc'].value)}",
        points=_point(figures["false_positive_rate"].value, figures["recall"].value),
        diagonal=True,
    )


def _reliability(name: str, report: CategoryReport) -> Markup:
    bins = report.reliability.bins if report.reliability else ()
    line = Line(name, [each.mean_score for each in bins], [each.positive_share for each in bins])
    error = _number(report.metrics.figures["calibration_error"].value)
    return reliability(
        f"{name}: reliability",
        [line],
        [(each.lowest, each.highest, each.images) for each in bins],
        description=f"Expected calibration error {error}",
    )


def _point(x: float | None, y: float | None) -> Sequence[tuple[float, float, str]]:
    """Return the place of the live threshold, where both figures are defined."""
    return [] if x is None or y is None else [(x, y, "live threshold")]


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
