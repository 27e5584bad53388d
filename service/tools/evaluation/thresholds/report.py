"""The report of solved thresholds: what they keep, on which images, and what is not supported."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from service.tools.evaluation.report.blocks import Column, columns, note, table
from service.tools.evaluation.report.page import Block, Report, Section
from service.tools.evaluation.report.plots import Line, curves
from service.tools.evaluation.thresholds.cheapest_policy import CheapestPolicy
from service.tools.evaluation.thresholds.costs import NEVER, Bill
from service.tools.evaluation.thresholds.ranking import MeasuredShare, Ranking
from service.tools.evaluation.thresholds.thresholds import SPLITS, Solution, Solved

_POINTS = 200
"""Of a curve: more than a plot has pixels for."""

_TARGET_COLUMNS = (
    Column("Threshold"),
    Column("For"),
    Column("Precision", numeric=True),
    Column("Recall", numeric=True),
    Column("Flagged", numeric=True),
    Column(f"Kept on {SPLITS} halves", numeric=True),
)

_BILL_COLUMNS = (
    Column("Thresholds"),
    Column("Bill", numeric=True),
    Column("95 % interval", numeric=True),
    Column("Reviewed", numeric=True),
    Column("Hours of review", numeric=True),
)

_LIMITS = (
    "Intervals are exact 95 % ones. A threshold counts if the lower limit of what it keeps reaches the target with the"
    " stated confidence; the rule was then tried on one half of the images and checked on the other, a hundred times."
    " Precision is that of images like these: where a category is rarer, it is lower."
)
_BILL = "The bill of the new thresholds is of images that had no part in solving them. It holds for images like these."


def targets_report(solution: Solution, rankings: Mapping[str, Ranking], origin: Mapping[str, str]) -> Report:
    """Return the report of thresholds for targets."""
    wanted = sum(len(each.targets) for each in solution.solved)
    missing = len(solution.not_supported)
    sections = []
    if solution.solved:
        rows = [_row(each) for each in solution.solved]
        sections.append(Section("Thresholds", (table("Solved thresholds", _TARGET_COLUMNS, rows),)))
    if missing:
        sections.append(Section("Not supported", tuple(_problems(solution))))
    if solution.solved:
        plots = [_curve(each, rankings[each.category]) for each in solution.solved]
        sections.append(Section("Precision and recall", (columns(*plots),)))
    return Report(
        command="modstream thresholds",
        title="Thresholds",
        sentence=(
            f"The labelled images support {wanted} of {wanted + missing} targets"
            if missing
            else f"The labelled images support {'the target' if wanted == 1 else f'all {wanted} targets'}"
        ),
        sections=tuple(sections),
        lead=_LIMITS,
        origin=origin,
    )


def _row(solved: Solved) -> Sequence[Block]:
    found = solved.found
    return (
        f"{solved.category}.{solved.outcome} {found.threshold:g}",
        ", ".join(str(target) for target in solved.targets),
        _shown(found.precision),
        _shown(found.recall),
        f"{found.flagged:,}",
        str(solved.held_out),
    )


def _shown(share: MeasuredShare) -> str:
    return f"{share.value:.3f} ({share.low:.3f} to {share.high:.3f})"


def _problems(solution: Solution) -> Iterator[Block]:
    for each in solution.not_supported:
        more = "" if each.more_labels is None else f" About {each.more_labels:,} more labelled images are needed."
        yield note(f"{each.target}: {each.detail}.{more}", warning=True)


def _curve(solved: Solved, ranking: Ranking) -> Block:
    places = np.unique(np.linspace(0, len(ranking.thresholds) - 1, _POINTS).astype(np.int64))
    recall = ranking.hits[places] / max(1, ranking.positive_count)
    precision = ranking.hits[places] / ranking.flagged[places]
    title = f"{solved.category}, {solved.outcome}"
    found = solved.found
    return curves(
        title,
        [Line("all thresholds", recall.tolist(), precision.tolist())],
        x="Recall",
        y="Precision",
        points=[(found.recall.value, found.precision.value, f"{solved.outcome} {found.threshold:g}")],
        description=(
            f"Precision against recall of {title}; at {found.threshold:g} precision is {found.precision.value:.3f}"
            f" and recall {found.recall.value:.3f}."
        ),
    )


def bill_report(cheapest: CheapestPolicy, origin: Mapping[str, str]) -> Report:
    """Return the report of the cheapest thresholds."""
    before, after = cheapest.result.before, cheapest.result.after
    rows = [
        (name, f"{cheapest.result.thresholds[name].review:g}", _threshold(cheapest.result.thresholds[name].block))
        for name in cheapest.rules
    ]
    bills = [("Now", *_bill(before)), ("With the new thresholds", *_bill(after))]
    return Report(
        command="modstream thresholds",
        title="Thresholds",
        sentence=f"{before.images:,} images cost {after.cost:,.0f} instead of {before.cost:,.0f}",
        sections=(
            Section(
                "Bill",
                (table("Of one month", _BILL_COLUMNS, bills),),
            ),
            Section(
                "Thresholds",
                (
                    table(
                        "Those that change",
                        (Column("Category"), Column("Review", numeric=True), Column("Block", numeric=True)),
                        rows,
                    ),
                ),
            ),
        ),
        lead=_BILL,
        origin={**origin, "Labelled images": f"{cheapest.images:,}, {cheapest.harmful:,} of them harmful"},
    )


def _bill(bill: Bill) -> Sequence[str]:
    return (
        f"{bill.cost:,.0f}",
        f"{bill.low:,.0f} to {bill.high:,.0f}",
        f"{bill.reviewed:,.0f}",
        f"{bill.review_hours:,.0f}",
    )


def _threshold(value: float) -> str:
    return "–" if value == NEVER else f"{value:g}"
