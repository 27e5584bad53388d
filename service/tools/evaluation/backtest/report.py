"""The report of a backtest: what a policy's change would do, for people who decide about policies."""

import math
from collections.abc import Iterator, Mapping, Sequence

from markupsafe import Markup

from service.policy.policy import Policy
from service.tools.evaluation.backtest.examples import Pictures, anchor, examples
from service.tools.evaluation.backtest.result import (
    DECISIONS,
    STORED_DECISIONS,
    BacktestResult,
    Cell,
    GroupChange,
    ScoreDistribution,
)
from service.tools.evaluation.backtest.words import (
    again_text,
    changes,
    gone_text,
    group_name,
    is_stricter,
    lead,
    number,
    percent,
    sentence,
    unanswered_lines,
)
from service.tools.evaluation.report import matrix as matrices
from service.tools.evaluation.report.blocks import (
    Column,
    KeyFigure,
    Tone,
    columns,
    figures,
    note,
    stacked_meter,
    table,
)
from service.tools.evaluation.report.page import Block, Report, Section
from service.tools.evaluation.report.plots import VerticalLine, distribution
from service.tools.evaluation.report.score_text import score_text

_TONES: Mapping[str, Tone] = {"label": "soft", "review": "review", "block": "block"}
_BOTH = "both policies decide them by their"


def backtest_report(result: BacktestResult, policy: Policy, pictures: Pictures, *, source: str) -> Report:
    """Return the report. `policy` is the one that decided anew; `source` says where the verdicts come from."""
    sections = [
        Section("Decisions before and after", tuple(_overview(result)), "decisions"),
        *_unanswered(result),
        *_groups("Changes by category", "Category", result.categories),
        *_groups("Changes by tenant", "Tenant", result.tenants),
        *_scores(result),
        *_near(result),
        *(examples(cell, policy, pictures) for cell in changes(result) if cell.examples),
    ]
    return Report(
        command="modstream backtest",
        title="Backtest",
        sentence=sentence(result),
        lead=lead(result),
        sections=tuple(sections),
        origin=_origin(result, source),
    )


def _overview(result: BacktestResult) -> Iterator[Block]:
    yield _key_figures(result)
    names = [each.capitalize() for each in DECISIONS]
    width = len(DECISIONS)
    rows = [result.matrix[start : start + width] for start in range(0, len(result.matrix), width)]
    yield matrices.matrix(
        "Images by decision; what changes leads to examples",
        rows=("Before", names),
        columns=("After", names),
        cells=[[_cell(cell, result) for cell in row] for row in rows],
    )
    if gone := gone_text(result):
        yield note(gone)
    if result.not_moderated:
        who = "the new policy decides them by its" if result.baseline == STORED_DECISIONS else _BOTH
        yield note(
            f"{number(result.not_moderated)} of these images were not judged by a model; "
            f"{who} setting when_not_moderated."
        )


def _key_figures(result: BacktestResult) -> Markup:
    before, after = result.count(before="review"), result.count(after="review")
    shown = [
        KeyFigure(number(result.changed), f"images change, {percent(result.changed, result.images)}"),
        KeyFigure(
            percent(after, result.images), f"go to review, {percent(before, result.images)} before", tone="review"
        ),
        KeyFigure(
            number(result.count(after="block")),
            f"are blocked, {number(result.count(before='block'))} before",
            tone="block",
        ),
    ]
    if result.weeks is not None:
        hours = after * result.review_seconds / 3600 / result.weeks
        was = before * result.review_seconds / 3600 / result.weeks
        name = f"hours of review a week, {was:,.1f} before, at {result.review_seconds:g} s an image"
        shown.append(KeyFigure(f"{hours:,.1f}", name))
    return figures(*shown)


def _cell(cell: Cell, result: BacktestResult) -> matrices.Cell:
    changed = cell.before != cell.after
    return matrices.Cell(
        number(cell.images),
        # Counts differ by orders of magnitude, and a few images no longer blocked matter too.
        weight=math.log1p(cell.images) / math.log1p(max(1, result.changed)) if changed else 0.0,
        tone=_tone(cell),
        detail=percent(cell.images, result.images),
        anchor=anchor(cell) if changed and cell.examples else "",
    )


def _tone(cell: Cell) -> Tone:
    if cell.before == cell.after:
        return "ink"
    return ("block" if cell.after == "block" else "review") if is_stricter(cell) else "allow"


def _unanswered(result: BacktestResult) -> Iterator[Section]:
    if not result.unanswered:
        return
    rows = [(each.detail, each.category or "", number(each.images)) for each in unanswered_lines(result)]
    blocks: list[Block] = [
        "The stored scores say nothing about these.",
        table("Without scores", (Column("What"), Column("Category"), Column("Images", True)), rows),
    ]
    if again := again_text(result):
        blocks.append(note(again))
    yield Section("What scores cannot answer", tuple(blocks), "unanswered")


def _groups(title: str, name: str, groups: Sequence[GroupChange]) -> Iterator[Section]:
    shown = [each for each in groups if each.stricter or each.milder]
    if not shown:
        return
    most = max(each.stricter + each.milder for each in shown)
    rows = [
        (
            group_name(each),
            number(each.stricter),
            number(each.milder),
            stacked_meter([(each.stricter / most, "review"), (each.milder / most, "allow")]),
            f"{number(each.review_before)} → {number(each.review_after)}",
            f"{number(each.block_before)} → {number(each.block_after)}",
        )
        for each in shown
    ]
    heads = (
        Column(name),
        Column("Stricter", numeric=True),
        Column("Milder", numeric=True),
        Column(""),
        Column("To review", numeric=True),
        Column("Blocked", numeric=True),
    )
    yield Section(title, (table(f"Images whose decision changes, by {name.lower()}", heads, rows),))


def _scores(result: BacktestResult) -> Iterator[Section]:
    if result.distributions:
        plots = [_plot(each) for each in result.distributions]
        text = "How many images have which score, on a logarithmic scale. A dotted line is a threshold before."
        yield Section("Scores of changed categories", (text, columns(*plots)), "scores")


def _plot(scores: ScoreDistribution) -> Markup:
    lines = [
        VerticalLine(f"{outcome} {when} {at:g}", at, _TONES.get(outcome, "ink"), dashed=dashed)
        for when, thresholds, dashed in (("before", scores.before, True), ("after", scores.after, False))
        for outcome, at in thresholds.items()
        if outcome != "label"
    ]
    said = ", ".join(line.label for line in lines)
    counts = f"{number(sum(scores.counts))} scores"
    return distribution(
        scores.category, scores.edges, scores.counts, lines, description=f"{counts} of {scores.category}; {said}"
    )


def _near(result: BacktestResult) -> Iterator[Section]:
    if not result.near:
        return
    rows = [
        (
            each.image.image_id,
            each.image.tenant,
            each.category,
            score_text(each.score, (each.threshold,)),
            f"{each.outcome} from {each.threshold:g}",
            "reaches it" if each.score >= each.threshold else "below",
            f"{each.image.before} → {each.image.after}",
        )
        for each in result.near
    ]
    heads = ("Image", "Tenant", "Category", "Score", "Threshold", "", "Decision")
    named = [Column(head or "Side", numeric=head == "Score") for head in heads]
    yield Section("Nearest to a threshold", (table("A small step of the threshold changes these", named, rows),))


def _origin(result: BacktestResult, source: str) -> Mapping[str, str]:
    stored = "; ".join(
        f"{each.name}, version {each.version} ({number(each.images)})" for each in result.stored_policies
    )
    return {
        "New policy": f"{result.policy_name}, version {result.policy_version}",
        "Its hash": result.policy_hash,
        "Stored by": stored or "none",
        "Verdicts": source,
    }
