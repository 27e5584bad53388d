"""Pure: the errors whose scores are farthest from their labels: what a person looks at first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from service.tools.evaluation.datasets.dataset import Dataset
from service.tools.evaluation.quality.outcomes import JudgedExample

MOST = 24
"""Of a kind, in a report: about what a person looks through, and half a megabyte of pictures."""


@dataclass(frozen=True, slots=True)
class LabelError:
    """One category that an image shows and that was not flagged, or the other way around."""

    judged: JudgedExample
    category: str
    kind: Literal["missed", "false_alarm"]

    @property
    def score(self) -> float:
        """The score of the category."""
        return self.judged.scores[self.category]

    @property
    def distance(self) -> float:
        """How far the score is from the label, in [0, 1]."""
        return 1.0 - self.score if self.kind == "missed" else self.score


def worst_errors(
    dataset: Dataset, judged: Sequence[JudgedExample], kind: Literal["missed", "false_alarm"], *, most: int = MOST
) -> Sequence[LabelError]:
    """Return errors of one kind, those farthest from their labels first; an image may be there for two categories."""
    found = [error for each in judged for error in _errors(dataset, each) if error.kind == kind]
    return sorted(found, key=lambda error: (-error.distance, error.judged.example.image_id, error.category))[:most]


def _errors(dataset: Dataset, judged: JudgedExample) -> Iterator[LabelError]:
    for category in judged.scores:
        shown, flagged = category in judged.example.categories, category in judged.flagged
        if category in judged.ruled and dataset.is_about(judged.example, category) and shown != flagged:
            yield LabelError(judged, category, "missed" if shown else "false_alarm")
