"""What a backtest found: frozen, and plain enough to become JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.base import Decision

DECISIONS: tuple[Decision, ...] = ("allow", "review", "block")
"""From the mildest to the gravest."""

STORED_DECISIONS = "stored decisions"
"""The baseline where no policy is given to compare with."""

_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """A policy that decided stored verdicts."""

    name: str
    version: str
    hash: str
    images: int


@dataclass(frozen=True, slots=True)
class ImageChange:
    """One image with its decision before and after."""

    image_id: str
    tenant: str
    moderated_at: datetime
    before: Decision
    after: Decision
    category_before: str | None
    """The category that the decision rests on; None for allow, and where no score decided."""
    category_after: str | None
    scores: Mapping[str, float]
    """As the new policy counts them, the highest first; of categories that it has a rule for."""
    sha256: str
    source_topic: str
    source_partition: int
    source_offset: int
    ambiguous: str | None = None
    """What viewers may show otherwise: the names of features as a JSON list; None for nothing."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the decision matrix."""

    before: Decision
    after: Decision
    images: int
    examples: tuple[ImageChange, ...] = ()
    """A bounded number; those nearest to the threshold that makes the difference come first."""


@dataclass(frozen=True, slots=True)
class GroupChange:
    """What changes for one category or one tenant."""

    name: str | None
    """None for all that are not listed by themselves."""
    images: int
    """Of a tenant: all. Of a category: those that it decided, before or after."""
    stricter: int
    milder: int
    review_before: int = 0
    review_after: int = 0
    block_before: int = 0
    block_after: int = 0


@dataclass(frozen=True, slots=True)
class NearThreshold:
    """An image whose score lies close to a threshold of the new policy."""

    image: ImageChange
    category: str
    outcome: Decision
    """What the threshold leads to."""
    threshold: float
    score: float


@dataclass(frozen=True, slots=True)
class ScoreDistribution:
    """How the scores of a category with other thresholds than before are spread."""

    category: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    """One fewer than edges."""
    before: Mapping[str, float]
    """Thresholds by outcome. Empty where the rules before are not known, or several policies differ in them."""
    after: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A change that stored scores say nothing about."""

    kind: str
    """Stable, for programs, such as category.new, definition.changed, follow_up.lower, vision_tokens.more."""
    category: str | None
    detail: str
    """In words: what changed, and why scores cannot answer."""
    images: int
    examples: tuple[ImageChange, ...] = ()
    is_answered_by_judging: bool = True
    """False if the engine of these verdicts would not know better."""


@dataclass(frozen=True, slots=True)
class JudgingAgain:
    """What judging the images of all unanswered questions again takes; calculated, not measured."""

    images: int
    gpu_hours: float | None = None
    usd: float | None = None
    assumption: str = ""
    """Which GPU, model and price that is calculated for."""


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """What would change if a policy had decided stored verdicts."""

    policy_name: str
    policy_version: str
    policy_hash: str
    baseline: str
    """What it is compared with, `STORED_DECISIONS` or a policy's name and version."""
    images: int
    not_moderated: int
    first_at: datetime | None
    """When the oldest of the verdicts was made; None without any."""
    last_at: datetime | None
    stored_policies: tuple[StoredPolicy, ...]
    matrix: tuple[Cell, ...]
    """All nine cells, in the order of `DECISIONS` before, then after."""
    categories: tuple[GroupChange, ...]
    """The most changes first."""
    tenants: tuple[GroupChange, ...]
    near: tuple[NearThreshold, ...]
    """The nearest first, of both sides."""
    distributions: tuple[ScoreDistribution, ...]
    unanswered: tuple[Unanswered, ...]
    again: JudgingAgain | None
    """None where nothing is unanswered."""
    review_seconds: float
    """A person's time for one image in review."""
    rules_gone: tuple[str, ...] = ()
    """Categories that the policies before could send to review or block and the new one cannot; none if they are not
    known."""

    def count(self, before: Decision | None = None, after: Decision | None = None) -> int:
        """Return the number of images with these decisions; None is any."""
        return sum(cell.images for cell in self.matrix if before in {None, cell.before} and after in {None, cell.after})

    @property
    def changed(self) -> int:
        """The number of images that are decided differently."""
        return sum(cell.images for cell in self.matrix if cell.before != cell.after)

    @property
    def more_to_review(self) -> int:
        """How many more images go to review; negative for fewer."""
        return self.count(after="review") - self.count(before="review")

    @property
    def weeks(self) -> float | None:
        """The time between the first and the last verdict; None where it is too short to speak of a week."""
        if self.first_at is None or self.last_at is None:
            return None
        span = (self.last_at - self.first_at) / _WEEK
        return span if span >= _LEAST_WEEKS else None

    @property
    def review_hours_a_week(self) -> float | None:
        """How many more hours of review a week there are; negative for fewer, None where the time is too short."""
        if self.weeks is None:
            return None
        return self.more_to_review * self.review_seconds / 3600 / self.weeks


_LEAST_WEEKS = timedelta(hours=1) / _WEEK
"""An hour of verdicts says little of a week, and less than that nothing."""
