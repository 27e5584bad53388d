"""A backtest's result in words and rounded figures, for the terminal and the report alike."""

from collections.abc import Sequence
from dataclasses import replace

from schemas.base import Decision
from service.tools.evaluation.backtest.result import BacktestResult, Cell, GroupChange, Unanswered

_LEAST_SHARE = 0.001
"""Below it a share in percent would be shown as 0.0."""


def sentence(result: BacktestResult) -> str:
    """Return what a reader has to know first, without a full stop."""
    if not result.images:
        return "There are no stored verdicts to decide again"
    counted = f"Of {number(result.images)} {'image' if result.images == 1 else 'images'}"
    if not result.changed:
        return f"{counted} none would change"
    parts = [part for part in (_reviewed(result), _unblocked(result), _blocked(result)) if part]
    return f"{counted} {percent(result.changed, result.images)} would change: {', '.join(parts)}"


def _reviewed(result: BacktestResult) -> str:
    more, hours = result.more_to_review, result.review_hours_a_week
    if more == 0:
        moved = any(cell.before != cell.after and "review" in {cell.before, cell.after} for cell in _filled(result))
        return "as many to review as before, of which some are others" if moved else ""
    time = "" if hours is None else f" ({hours:+,.1f} h a week)"
    return f"{number(abs(more))} {'more' if more > 0 else 'fewer'} to review{time}"


def _unblocked(result: BacktestResult) -> str:
    count = result.count(before="block") - result.count("block", "block")
    return f"{number(count)} no longer blocked" if count else ""


def _blocked(result: BacktestResult) -> str:
    count = result.count(after="block") - result.count("block", "block")
    return f"{number(count)} newly blocked" if count else ""


def _filled(result: BacktestResult) -> list[Cell]:
    return [cell for cell in result.matrix if cell.images]


def lead(result: BacktestResult) -> str:
    """Return what was compared with what, as sentences."""
    policy = f"{result.policy_name}, version {result.policy_version}"
    period = ""
    if result.first_at is not None and result.last_at is not None:
        period = f" of {result.first_at:%Y-%m-%d %H:%M} to {result.last_at:%Y-%m-%d %H:%M} UTC"
    said = f"Stored scores{period}, decided by {policy}, compared with {result.baseline}."
    if any(each.is_answered_by_judging for each in result.unanswered):
        said += " Some changes need the model, and are not in these figures."
    return said


def unanswered_lines(result: BacktestResult) -> list[Unanswered]:
    """Return what scores cannot answer; categories that a classifier does not look for share a line."""
    gaps: dict[int, list[Unanswered]] = {}
    others = []
    for each in result.unanswered:
        if each.kind == "category.not_covered":
            gaps.setdefault(each.images, []).append(each)
        else:
            others.append(each)
    return [*others, *(_joined(each) for each in gaps.values())]


def _joined(gaps: Sequence[Unanswered]) -> Unanswered:
    if len(gaps) == 1:
        return gaps[0]
    names = ", ".join(each.category or "" for each in gaps)
    detail = f"the classifier of these verdicts does not look for {names}: judging again would not help"
    return replace(gaps[0], category=None, detail=detail)


def gone_text(result: BacktestResult) -> str:
    """Return which rules the new policy lacks, as a sentence; empty where it has them all."""
    if not result.rules_gone:
        return ""
    names = ", ".join(result.rules_gone)
    return f"The new policy sends no image to review or block for {names}; the policy before did."


def changes(result: BacktestResult) -> list[Cell]:
    """Return the cells of the matrix whose images change, those with the most images first."""
    return sorted((cell for cell in _filled(result) if cell.before != cell.after), key=lambda cell: -cell.images)


def is_stricter(cell: Cell) -> bool:
    """Return whether the decision after is graver than before."""
    return _GRAVITY[cell.after] > _GRAVITY[cell.before]


_GRAVITY: dict[Decision, int] = {"allow": 0, "review": 1, "block": 2}


def group_name(group: GroupChange) -> str:
    """Return the name of a category or a tenant."""
    return "all others" if group.name is None else group.name


def number(count: int) -> str:
    """Return a count with separators."""
    return f"{count:,}"


def percent(count: int, total: int) -> str:
    """Return a share in percent; one that is not 0 is never shown as 0, and one that is not all never as 100."""
    share = count / total if total else 0.0
    if 0 < share < _LEAST_SHARE:
        return "less than 0.1 %"
    if 1 - _LEAST_SHARE < share < 1:
        return "more than 99.9 %"
    return f"{100 * share:.1f} %"


def again_text(result: BacktestResult) -> str:
    """Return what judging images again takes, as a sentence; empty where nothing is unanswered."""
    again = result.again
    if again is None:
        return ""
    price = "" if again.usd is None else f", {again.usd:,.2f} USD"
    hours = "" if again.gpu_hours is None else f": {again.gpu_hours:,.1f} hours of one GPU{price}"
    return f"Judging {number(again.images)} images again (modstream replay){hours}. {again.assumption}".strip()
