"""Pure: what a threshold has to keep, such as a precision of 0.98 for weapons."""

import re
from dataclasses import dataclass
from typing import Literal

Metric = Literal["precision", "recall"]
Outcome = Literal["review", "block"]

_TARGET = re.compile(
    r"(?P<category>[a-z][a-z0-9_]{0,63})(?:\.(?P<outcome>review|block))?\.(?P<metric>precision|recall)"
    r"\s*>=\s*(?P<share>0?\.\d{1,9}|1(?:\.0{1,9})?)"
)


@dataclass(frozen=True, slots=True)
class Target:
    """What a threshold has to keep."""

    category: str
    metric: Metric
    share: float
    """In (0, 1)."""
    outcome: Outcome | None = None
    """The threshold that is solved; None for block where precision is wanted, and for review where recall is, as far
    as the policy has them for the category."""

    @classmethod
    def parse(cls, text: str) -> "Target":
        """Return the target of a text such as `weapons.precision>=0.98`; raise `ValueError` for another text."""
        found = _TARGET.fullmatch(text.strip())
        if found is None:
            raise ValueError(
                f"{text!r} is no target: write CATEGORY.precision>=SHARE or CATEGORY.recall>=SHARE, with .review or"
                " .block after the category to choose the threshold, as in weapons.block.precision>=0.98"
            )
        share = float(found["share"])
        if not 0.0 < share < 1.0:
            raise ValueError(f"{text!r}: no number of labels proves a share of 1, and 0 needs none")
        metric: Metric = "precision" if found["metric"] == "precision" else "recall"
        outcome: Outcome | None = None if found["outcome"] is None else _outcome(found["outcome"])
        return cls(found["category"], metric, share, outcome)

    def __str__(self) -> str:
        """The target as it is written."""
        outcome = f".{self.outcome}" if self.outcome else ""
        return f"{self.category}{outcome}.{self.metric}>={self.share:g}"


def _outcome(text: str) -> Outcome:
    return "review" if text == "review" else "block"
