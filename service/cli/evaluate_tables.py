"""An evaluation as tables for a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from service.cli.evaluate_run import Result
from service.cli.options import fail, output_console, plain, warn
from service.telemetry.plain_text import one_line
from service.tools.evaluation.quality.bootstrap import Figure
from service.tools.evaluation.quality.evaluation import Evaluation
from service.tools.evaluation.quality.predictions import Prediction
from service.tools.evaluation.quality.requirements import Checked

MAX_NAMED = 10
"""Images that are named one by one; the file of predictions has all."""

_COLUMNS = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "false_positive_rate": "false pos. rate",
    "average_precision": "avg. precision",
    "roc_auc": "ROC AUC",
    "calibration_error": "ECE",
}


def print_evaluations(results: Sequence[Result]) -> None:
    """Print the figures of every category and of tags, and what was not judged, engine by engine.

    Ends the command if an engine judged no image: every figure would be undefined, and a report empty.
    """
    for each in results:
        _print_evaluation(each)
    for each in results:
        if not each.evaluation.moderated:
            raise fail(
                f"{each.question.dataset.source}: {each.evaluation.engine} judged none of {each.evaluation.images} "
                "images, so there are no figures; the warnings say why. Paths in a file of labels begin at the file's "
                "folder"
            )


def _print_evaluation(result: Result) -> None:
    console, evaluation = output_console(), result.evaluation
    console.print(_category_table(evaluation))
    _print_undefined(console, evaluation)
    console.print()
    for name, tags in evaluation.tags.items():
        texts = ", ".join(f"{kind} {figure_text(each)}" for kind, each in tags.figures.items())
        console.print(f"tags, {escape(one_line(name))}: {texts} ({tags.images} images)")
    _print_missing(result)
    stored = f", {result.run.stored} of them by an earlier run" if result.run.stored else ""
    console.print(
        f"{evaluation.moderated} of {evaluation.images} images judged{stored}; predictions: {plain(str(result.file))}",
        soft_wrap=True,
    )


def print_requirements(checked: Sequence[Checked]) -> None:
    """Print which requirements are met."""
    console = output_console()
    for each in checked:
        found = each.undefined if each.found is None else f"{each.found:.4g}"
        console.print(
            f"{'[green]met[/]' if each.met else '[red]not met[/]'}: {plain(each.requirement)} (found: {found})"
        )


def figure_text(figure: Figure) -> str:
    """Return a figure with its interval."""
    if figure.value is None:
        return "undefined"
    if figure.low is None or figure.high is None or figure.low == figure.high == figure.value:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def _category_table(evaluation: Evaluation) -> Table:
    title = f"{evaluation.engine}, policy {evaluation.policy}; 95 % intervals"
    table = Table(
        "category", "shown by", title=escape(one_line(title)), title_justify="left", box=None, padding=(0, 2, 0, 0)
    )
    for heading in _COLUMNS.values():
        table.add_column(heading, overflow="fold")
    for name, report in evaluation.categories.items():
        metrics = report.metrics
        cells = (figure_text(metrics.figures[each]).replace(" (", "\n(") for each in _COLUMNS)
        table.add_row(name, f"{metrics.positives} of {metrics.images}", *cells)
    return table


def _print_undefined(console: Console, evaluation: Evaluation) -> None:
    """Print why figures are undefined, once for each reason of a category."""
    for name, report in evaluation.categories.items():
        reasons: dict[str, list[str]] = {}
        for kind, figure in report.metrics.figures.items():
            if figure.undefined is not None:
                reasons.setdefault(figure.undefined, []).append(_COLUMNS[kind])
        for reason, kinds in reasons.items():
            console.print(f"undefined for {name}: {', '.join(kinds)}: {reason}")


def _print_missing(result: Result) -> None:
    """Name what was left out, what counts once, and what was not judged: nothing is dropped in silence."""
    for unusable in [each for each in result.dataset.left_out if not each.is_expected][:MAX_NAMED]:
        warn(f"left out: {unusable}")
    if expected := sum(each.is_expected for each in result.dataset.left_out):
        warn(f"left out: {expected} files that are no images by their names, or hidden")
    if result.run.repeats:
        first = result.run.repeats[0]
        warn(
            f"{len(result.run.repeats)} images are there before with the same labels and count once, such as "
            f"{one_line(first.example.image_id)}, which is {one_line(first.first.image_id)}"
        )
    for reason, count in result.evaluation.failures.items():
        warn(f"not judged: {count} images: {reason}: {_examples(result.run.predictions, reason)}")
    for column in result.evaluation.too_many_values:
        warn(f"the column {one_line(column)!r} has too many values for slices")


def _examples(predictions: Sequence[Prediction], reason: str) -> str:
    found = [each for each in predictions if (each.failure or "not_moderated") == reason]
    missing = [each for each in found if each.verdict is None or each.verdict.status != "moderated"]
    named = (f"{one_line(each.example.image_id)} ({one_line(each.detail or reason)})" for each in missing[:MAX_NAMED])
    more = f" and {len(missing) - MAX_NAMED} more" if len(missing) > MAX_NAMED else ""
    return f"{'; '.join(named)}{more}"
