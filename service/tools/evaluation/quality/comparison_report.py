"""A comparison as an HTML report."""

from service.tools.evaluation.quality.compare import ComparedCategory, Comparison, sentence_of
from service.tools.evaluation.quality.paired import COMPARED, Difference
from service.tools.evaluation.report.blocks import Column, note, table
from service.tools.evaluation.report.page import Block, Report, Section, html_of

HEADINGS = {"precision": "Precision", "recall": "Recall", "f1": "F1", "average_precision": "Average precision"}

_METHOD = (
    "McNemar's exact test looks at the images that only one of the two judged as labelled. p (Holm) is corrected for"
    " the number of categories. Intervals are those of a paired bootstrap at 95 %, and are not corrected: of twenty"
    " categories that do not differ, one has an interval without 0."
)


def comparison_report(found: Comparison) -> str:
    """Return the page."""
    columns = (
        Column("Category"),
        Column("Images", numeric=True),
        *(Column(f"{heading}, B minus A", numeric=True) for heading in HEADINGS.values()),
        Column("Right only A : B", numeric=True),
        Column("p", numeric=True),
        Column("p (Holm)", numeric=True),
    )
    rows = [_row(each) for each in found.categories]
    blocks: list[Block] = [table("Differences by category", columns, rows), *_left_out(found)]
    return html_of(
        Report(
            command="modstream evaluate compare",
            title="Comparison",
            sentence=sentence_of(found),
            lead="A positive difference means that B is better.",
            sections=(Section("Categories", tuple(blocks)), Section("How to read it", (_METHOD,))),
            origin={"A": found.first, "B": found.second, "Images that both judged": f"{found.images:,}"},
        )
    )


def difference_text(figure: Difference) -> str:
    """Return a difference with its interval."""
    if figure.difference is None or figure.low is None or figure.high is None:
        return "undefined"
    return f"{figure.difference:+.3f} ({figure.low:+.3f} to {figure.high:+.3f})"


def p_text(p_value: float) -> str:
    """Return a p-value with as many digits as say something."""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"  # noqa: PLR2004 - what three digits cannot show


def left_out(found: Comparison) -> list[str]:
    """Return what the comparison is not about."""
    missing = zip(("A", "B"), (found.first, found.second), found.not_judged, strict=True)
    sentences = [
        f"{count:,} images are left out, because {side} ({name}) has no verdict of a model for them"
        for side, name, count in missing
        if count
    ]
    if found.not_compared:
        sentences.append(f"One of the two does not cover {', '.join(found.not_compared)}")
    return sentences


def _left_out(found: Comparison) -> list[Block]:
    return [note(sentence, warning=True) for sentence in left_out(found)]


def _row(each: ComparedCategory) -> tuple[str, ...]:
    return (
        each.category,
        f"{each.positives:,} of {each.images:,}",
        *(difference_text(each.figures[name]) for name in COMPARED),
        f"{each.test.only_first:,} : {each.test.only_second:,}",
        p_text(each.test.p_value),
        p_text(each.p_corrected),
    )
