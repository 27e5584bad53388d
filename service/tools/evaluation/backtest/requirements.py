"""Requirements on a backtest, such as `changed<=2%`: a gate for changes of policies in CI."""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service.core.errors import FatalError
from service.tools.evaluation.backtest.result import BacktestResult
from service.tools.evaluation.backtest.words import changes, is_stricter

_FORM = re.compile(r"([a-z_]+)\s*(<=|>=|<|>)\s*([0-9]+(?:\.[0-9]+)?)\s*(%?)")

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}

FIGURES: Mapping[str, Callable[[BacktestResult], int]] = {
    "changed": lambda result: result.changed,
    "stricter": lambda result: sum(cell.images for cell in changes(result) if is_stricter(cell)),
    "milder": lambda result: sum(cell.images for cell in changes(result) if not is_stricter(cell)),
    "review": lambda result: result.count(after="review"),
    "blocked": lambda result: result.count(after="block"),
    "newly_blocked": lambda result: result.count(after="block") - result.count("block", "block"),
    "no_longer_blocked": lambda result: result.count(before="block") - result.count("block", "block"),
    "unanswered": lambda result: result.again.images if result.again else 0,
}
"""Numbers of images."""


class BacktestRequirementError(FatalError):
    """A requirement cannot be read."""

    reason = "backtest.invalid_requirement"
    message = "--require {text}: {detail}"


@dataclass(frozen=True, slots=True)
class Requirement:
    """A figure and its limit."""

    text: str
    figure: str
    compare: str
    limit: float
    is_share: bool
    """The limit is a percentage of all images."""

    def checked(self, result: BacktestResult) -> "CheckedRequirement":
        """Return whether a result meets it; without images none is met."""
        if not result.images:
            return CheckedRequirement(self.text, "there are no images", is_met=False)
        count = FIGURES[self.figure](result)
        value = 100 * count / result.images if self.is_share else float(count)
        found = f"it is {value:.4g} %" if self.is_share else f"it is {count:,}"
        return CheckedRequirement(self.text, found, is_met=_OPERATORS[self.compare](value, self.limit))


@dataclass(frozen=True, slots=True)
class CheckedRequirement:
    """A requirement, and what was found."""

    requirement: str
    found: str
    is_met: bool


def parse_requirement(text: str) -> Requirement:
    """Return a requirement; raise `BacktestRequirementError` for what is none."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise BacktestRequirementError(text=text, detail="it is written as in changed<=2% or newly_blocked<=100")
    figure, compare, limit, sign = match.groups()
    if figure not in FIGURES:
        known = ", ".join(FIGURES)
        raise BacktestRequirementError(text=text, detail=f"{figure!r} is no figure; known are {known}")
    return Requirement(text.strip(), figure, compare, float(limit), is_share=bool(sign))
