"""Pure: what several people decided about an image → one answer a category, and how each of them decides."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from schemas.review_decided import Answer
from service.tools.finetuning.review_store import Vote

_MANY = 10
"""Below, chance alone makes such records."""
_LOW_AGREEMENT = 0.6
"""Two people who decide by a coin agree in 0.5."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The majority's answers. A category with a tie, or without a yes or no, is in neither set."""

    yes: frozenset[str]
    no: frozenset[str]
    ties: frozenset[str]
    """Categories with as many yes as no."""


def majority(votes: Sequence[Vote]) -> Outcome:
    """Return what most people decided; who is unsure does not count."""
    counts = _counts(votes)
    yes = frozenset(name for name, count in counts.items() if count["yes"] > count["no"])
    no = frozenset(name for name, count in counts.items() if count["no"] > count["yes"])
    ties = frozenset(name for name, count in counts.items() if count["yes"] == count["no"] > 0)
    return Outcome(yes, no, ties)


def _counts(votes: Sequence[Vote]) -> Mapping[str, Counter[Answer]]:
    """Return how often each answer was given, by category."""
    counts: dict[str, Counter[Answer]] = {}
    for vote in votes:
        for category, answer in vote.answers.items():
            counts.setdefault(category, Counter())[answer] += 1
    return counts


@dataclass(slots=True)
class ReviewerRecord:
    """How one person decided."""

    images: int = 0
    alone: int = 0
    """Images that no other person decided about."""
    answers: Counter[Answer] = field(default_factory=Counter)
    compared: int = 0
    """Yes or no about a category that others decided about without a tie."""
    agreed: int = 0
    """Those of them that are what most of the others decided."""
    yes: Counter[str] = field(default_factory=Counter)
    """Images with a yes, by category."""

    @property
    def agreement(self) -> float | None:
        """Share of the compared decisions that agree with most others; None without any."""
        return self.agreed / self.compared if self.compared else None


@dataclass(slots=True)
class ReviewerRecords:
    """How each person decided."""

    by_reviewer: dict[str, ReviewerRecord] = field(default_factory=dict)

    def add(self, votes: Sequence[Vote]) -> None:
        """Count the votes about one image, of which there may be thousands."""
        counts = _counts(votes)
        for vote in votes:
            record = self.by_reviewer.setdefault(vote.reviewer, ReviewerRecord())
            record.images += 1
            record.alone += len(votes) == 1
            record.answers.update(vote.answers.values())
            record.yes.update(name for name, answer in vote.answers.items() if answer == "yes")
            if len(votes) > 1:
                self._compare(record, vote, counts)

    def concerns(self) -> Sequence[str]:
        """Return a sentence for each way in which one person decides too much, or otherwise than others."""
        if len(self.by_reviewer) == 1:
            return [f"every decision is {next(iter(self.by_reviewer))}'s, and no other person looked at any image"]
        return [*self._alone(), *self._only_yes(), *self._disagreeing()]

    @staticmethod
    def _compare(record: ReviewerRecord, vote: Vote, counts: Mapping[str, Counter[Answer]]) -> None:
        """Compare a vote with what the others said: the counts of all without its own."""
        for name, answer in vote.answers.items():
            yes, no = (counts[name][each] - (answer == each) for each in ("yes", "no"))
            if answer != "unsure" and yes != no:
                record.compared += 1
                record.agreed += (answer == "yes") == (yes > no)

    def _alone(self) -> Sequence[str]:
        images = sum(record.alone for record in self.by_reviewer.values())
        return [
            f"{name} alone decided about {record.alone:,} images, more than half of those with a single review"
            for name, record in self.by_reviewer.items()
            if record.alone > images / 2 and record.alone >= _MANY
        ]

    def _only_yes(self) -> Sequence[str]:
        by_category: dict[str, dict[str, int]] = {}
        for name, record in self.by_reviewer.items():
            for category, count in record.yes.items():
                by_category.setdefault(category, {})[name] = count
        return [
            f"every yes of {category} is {next(iter(counts))}'s ({next(iter(counts.values())):,} images)"
            for category, counts in sorted(by_category.items())
            if len(counts) == 1 and next(iter(counts.values())) >= _MANY
        ]

    def _disagreeing(self) -> Sequence[str]:
        return [
            f"{name} agrees with most others in {agreement:.0%} of {record.compared:,} decisions"
            for name, record in self.by_reviewer.items()
            if (agreement := record.agreement) is not None and record.compared >= _MANY and agreement < _LOW_AGREEMENT
        ]
