"""Pure: which category images show, and which the policy finds first."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from service.tools.evaluation.datasets.dataset import NONE
from service.tools.evaluation.quality.outcomes import JudgedExample


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts of images that show one category or none, by what they show and by what is found first."""

    names: Sequence[str]
    """Rows and columns."""
    counts: Sequence[Sequence[int]]
    """A row for what is shown, in it a column for what is found."""
    several: int
    """Images that show several categories, which have no row."""


def confusion(judged: Sequence[JudgedExample], order: Sequence[str]) -> Confusion:
    """Return the confusion of images; `order` are the categories in the order of rows and columns."""
    single = [each for each in judged if len(each.example.categories) <= 1]
    counts = Counter((next(iter(each.example.categories), NONE), each.leading or NONE) for each in single)
    met = {name for pair in counts for name in pair}
    names = [NONE, *(name for name in order if name in met)]
    return Confusion(
        names, [[counts[shown, found] for found in names] for shown in names], several=len(judged) - len(single)
    )
