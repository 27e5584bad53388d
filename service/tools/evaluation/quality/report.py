"""The report of an evaluation: how often an engine and a policy are right, for people who decide about them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from service.tools.evaluation.images.thumbnails import Thumbnail
from service.tools.evaluation.quality.bootstrap import Figure
from service.tools.evaluation.quality.evaluation import Evaluation
from service.tools.evaluation.quality.metrics import CategoryMetrics
from service.tools.evaluation.quality.plots import category_plots
from service.tools.evaluation.quality.worst_errors import LabelError
from service.tools.evaluation.report import matrix as matrices
from service.tools.evaluation.report.blocks import (
    Column,
    KeyFigure,
    columns,
    facts,
    figures,
    interval_meter,
    note,
    table,
)
from service.tools.evaluation.report.cards import Badge, ImageCard, ScoreLine, contact_sheet
from service.tools.evaluation.report.page import Block, Report, Section

NAMES: Mapping[str, str] = {
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "false_positive_rate": "False-positive rate",
    "average_precision": "Average precision",
    "roc_auc": "Area under ROC",
    "calibration_error": "Calibration error",
}


_NOT_REQUESTED = Thumbnail(missing="image not requested")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a report shows beside the figures."""

    missed: Sequence[LabelError]
    false_alarms: Sequence[LabelError]
    pictures: Mapping[str, Thumbnail]
    """Small pictures by image id; empty unless they were asked for."""
    comparison: Sequence[Sequence[str]]
    """A table of engines on the same images, its heading first."""


def evaluation_report(evaluation: Evaluation, shown: Shown) -> Report:
    """Return the report."""
    sections = [
        Section("All images", tuple(_overview(evaluation)), "images"),
        Section("Categories", tuple(_categories(evaluation)), "categories"),
        *_comparison(shown.comparison),
        Section("Curves and calibration", tuple(_curves(evaluation)), "curves"),
        *_confusion(evaluation),
        *_tags(evaluation),
        *_slices(evaluation),
        *_errors("Worst misses", shown.missed, shown.pictures, evaluation),
        *_errors("Worst false alarms", shown.false_alarms, shown.pictures, evaluation),
    ]
    return Report(
        command="modstream evaluate",
        title="Evaluation",
        sentence=_sentence(evaluation),
        lead="Intervals hold the true figure with 95 % confidence, if the labelled images are like those to come.",
        sections=tuple(sections),
        origin={
            "Dataset": evaluation.dataset,
            "Engine": evaluation.engine,
            "Policy": evaluation.policy,
            "Images": f"{evaluation.moderated} of {evaluation.images} judged",
        },
    )


def text_of(figure: Figure) -> str:
    """Return a figure with its interval in words."""
    if figure.value is None:
        return f"undefined: {figure.undefined}"
    if figure.low is None or figure.high is None or figure.low == figure.high:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def _sentence(evaluation: Evaluation) -> str:
    exact = evaluation.all_images["exact_match"].value
    if exact is None:
        return f"Of {evaluation.images:,} labelled images none could be compared with its labels"
    return f"Of {evaluation.moderated:,} labelled images {exact:.1%} were judged exactly as labelled"


def _overview(evaluation: Evaluation) -> Iterator[Block]:
    images = evaluation.all_images
    named = {"exact_match": "exactly right", "recall": "harm found", "false_positive_rate": "harmless, and flagged"}
    keys = [KeyFigure(_share(images[name]), label) for name, label in named.items()]
    if evaluation.seconds_an_image is not None:
        keys.append(KeyFigure(f"{evaluation.seconds_an_image:.3f} s", "an image"))
    yield figures(*keys)
    yield facts({label.capitalize(): text_of(images[name]) for name, label in named.items()})
    if evaluation.repeated:
        yield note(f"{evaluation.repeated} images are there before with the same labels, and count once")
    for reason, count in evaluation.failures.items():
        yield note(f"Not judged ({reason}): {count}", warning=True)


def _share(figure: Figure) -> str:
    return "undefined" if figure.value is None else f"{figure.value:.1%}"


def _categories(evaluation: Evaluation) -> Iterator[Block]:
    for name in ("recall", "precision", "false_positive_rate"):
        yield _meters(NAMES[name], {key: each.metrics for key, each in evaluation.categories.items()}, name)
    heads = (
        Column("Category"),
        Column("Shown by", numeric=True),
        *(Column(each, numeric=True) for each in NAMES.values()),
    )
    yield table("All figures", heads, [_row(name, each.metrics) for name, each in evaluation.categories.items()])


def _row(name: str, metrics: CategoryMetrics) -> Sequence[Block]:
    return [name, f"{metrics.positives} of {metrics.images}", *(text_of(metrics.figures[each]) for each in NAMES)]


def _meters(caption: str, metrics: Mapping[str, CategoryMetrics], figure: str) -> Block:
    """Return a table with a figure's interval for each name."""
    heads = (Column(""), Column("Figure", numeric=True), Column("From 0 to 1"))
    return table(caption, heads, [[name, *_interval(each.figures[figure])] for name, each in metrics.items()])


def _interval(figure: Figure) -> Sequence[Block]:
    if figure.value is None or figure.low is None or figure.high is None:
        return [text_of(figure), ""]
    return [text_of(figure), interval_meter(figure.low, figure.value, figure.high)]


def _curves(evaluation: Evaluation) -> Iterator[Block]:
    for name, report in evaluation.categories.items():
        if plots := category_plots(name, report):
            yield columns(*plots)
        else:
            yield note(f"{name}: no curves, as no image shows it, every image does, or none was judged for it")


def _confusion(evaluation: Evaluation) -> Iterator[Section]:
    found = evaluation.confusion
    most = max((max(row) for row in found.counts), default=0) or 1
    cells = [
        [
            matrices.Cell(str(count), count / most, "allow" if row == column else "block")
            for column, count in enumerate(counts)
        ]
        for row, counts in enumerate(found.counts)
    ]
    drawn = matrices.matrix(
        "Images by what they show and what is found first",
        rows=("Shown", found.names),
        columns=("Found", found.names),
        cells=cells,
    )
    others = [note(f"{found.several} images that show several categories are left out")] if found.several else []
    yield Section("Confusion", (drawn, *others), "confusion")


def _tags(evaluation: Evaluation) -> Iterator[Section]:
    if evaluation.tags:
        heads = (Column("Attribute"), Column("Images", numeric=True), Column("Exactly right"), Column("Overlap"))
        rows = [
            [name, str(each.images), text_of(each.figures["exact"]), text_of(each.figures["overlap"])]
            for name, each in evaluation.tags.items()
        ]
        yield Section("Tags", (table("By attribute", heads, rows),), "tags")


def _slices(evaluation: Evaluation) -> Iterator[Section]:
    blocks = [
        _meters(f"{NAMES[figure]} of {name} by {column}", values, figure)
        for name, report in evaluation.categories.items()
        for column, values in report.slices.items()
        for figure in ("recall", "false_positive_rate")
    ]
    if blocks:
        yield Section("Slices", tuple(blocks), "slices")


def _comparison(rows: Sequence[Sequence[str]]) -> Iterator[Section]:
    if rows:
        heading, *others = rows
        shown = table("On the same images", [Column(each) for each in heading], others)
        yield Section("Accuracy, time and cost", (shown,), "engines")


def _errors(
    title: str, errors: Sequence[LabelError], pictures: Mapping[str, Thumbnail], evaluation: Evaluation
) -> Iterator[Section]:
    if errors:
        cards = [_card(error, pictures, evaluation) for error in errors]
        yield Section(title, (contact_sheet(cards),))


def _card(error: LabelError, pictures: Mapping[str, Thumbnail], evaluation: Evaluation) -> ImageCard:
    example = error.judged.example
    picture = pictures.get(example.image_id, _NOT_REQUESTED)
    thresholds = evaluation.categories[error.category].thresholds
    line = ScoreLine(error.category, error.score, thresholds.get("review"), thresholds.get("block"), strong=True)
    shown = ", ".join(sorted(example.categories)) or "none"
    return ImageCard(
        example.image_id,
        badges=(Badge(f"labelled {shown}"),),
        detail=f"{example.tenant}, {example.place}",
        scores=(line,),
        picture=picture.picture,
        missing=picture.missing,
    )
