"""Pure: three ways from one-token answers to scores, and how well each finds what is drawn."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from service.core.instructions import ModelInstructions
from service.inference.vision.follow_ups import follow_ups
from service.inference.vision.labels import NONE, label_map
from service.settings.engine import JudgingSettings
from testing.tiny_model.held_out import Judged
from testing.tiny_model.shapes import HARMFUL


@dataclass(frozen=True, slots=True)
class Scored:
    """The scores of one image, and the tokens that they took."""

    scores: Mapping[str, float]
    tokens: int


@dataclass(frozen=True, slots=True)
class Finding:
    """How well a way finds categories, at a threshold of one half."""

    precision: Mapping[str, float]
    recall: Mapping[str, float]
    both_found: float | None
    """Share of the images with two categories in which both were found and nothing else; None without any."""
    tokens_an_image: float


def by_list(judged: Judged, instructions: ModelInstructions) -> Scored:
    """The list's shares are the scores."""
    return Scored(_shares(judged, instructions), 1)


def by_list_then_questions(judged: Judged, instructions: ModelInstructions) -> Scored:
    """The model is asked about each category that the list leaves possible, as the service does."""
    shares = _shares(judged, instructions)
    asked = follow_ups(instructions, shares, JudgingSettings())
    return Scored({**shares, **{name: judged.yes[name] for name in asked}}, 1 + len(asked))


def by_questions(judged: Judged, _instructions: ModelInstructions) -> Scored:
    """Every category is asked about."""
    return Scored(judged.yes, len(judged.yes))


WAYS: Mapping[str, Callable[[Judged, ModelInstructions], Scored]] = {
    "list alone": by_list,
    "list, then questions": by_list_then_questions,
    "a question a category": by_questions,
}


def finding(scored: Sequence[Scored], truth: Sequence[frozenset[str]], *, threshold: float = 0.5) -> Finding:
    """Compare what reaches the threshold with what is drawn."""
    found = [frozenset(name for name, score in each.scores.items() if score >= threshold) for each in scored]
    reported, shown = (Counter(name for names in each for name in names) for each in (found, truth))
    right = Counter(name for said, real in zip(found, truth, strict=True) for name in said & real)
    two = [said == real for said, real in zip(found, truth, strict=True) if len(real) == 2]
    return Finding(
        precision={name: right[name] / reported[name] if reported[name] else 1.0 for name in HARMFUL},
        recall={name: right[name] / shown[name] if shown[name] else 1.0 for name in HARMFUL},
        both_found=sum(two) / len(two) if two else None,
        tokens_an_image=sum(each.tokens for each in scored) / len(scored),
    )


def _shares(judged: Judged, instructions: ModelInstructions) -> Mapping[str, float]:
    labels = label_map(instructions)
    return {category: judged.reading.shares[label] for label, category in labels.items() if category != NONE}
