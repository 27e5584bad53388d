"""What an engine found in one image, and a policy's decision on it: live, in a shadow and from stored verdicts."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Literal, Self

from schemas.verdict import FrameScoresV1, VerdictV1
from service.policy.decide import DecisionResult, Scores, check_probabilities, decide
from service.policy.errors import UnusableScoresError
from service.policy.policy import Policy

ScoreKind = Literal["classifier", "list", "question"]
"""What a score is: a classifier's probability, a share of a language model's answer to the list of categories, or its
answer to a question about one category. Each kind is calibrated by itself."""


@dataclass(frozen=True, slots=True)
class JudgedFrame:
    """The scores of one frame, or of several together."""

    scores: Scores
    asked: frozenset[str] = frozenset()
    """Categories whose score answers a question of its own; the others are read from the list, or from a classifier."""
    uncalibrated: Scores | None = None
    """The scores before a calibration file was applied; None if none was."""


@dataclass(frozen=True, slots=True)
class JudgedImage:
    """What an engine found in one image. All frames have scores for the same categories."""

    frames: tuple[JudgedFrame, ...]
    """Empty for an image that was not judged."""
    hints: Set[str] = frozenset()
    """Categories that may send an image to review at most."""
    unjudged: str | None = None
    """Reason code of why the image was not judged; None where an engine never judges."""
    ambiguous: Set[str] = frozenset()
    """What viewers may show otherwise than it was judged, by the names of `service.core.ambiguity`."""

    @classmethod
    def from_verdict(cls, verdict: VerdictV1) -> Self:
        """Return what a verdict was decided on; raise `UnusableScoresError` if its frames differ in categories."""
        ambiguous = frozenset(verdict.ambiguous)
        if verdict.status == "not_moderated":
            return cls((), frozenset(verdict.hints), next((reason.code for reason in verdict.reasons), None), ambiguous)
        frames = verdict.frames or (
            FrameScoresV1(scores=verdict.scores, asked=verdict.asked, uncalibrated=verdict.uncalibrated),
        )
        image = cls(
            tuple(JudgedFrame(each.scores, frozenset(each.asked), each.uncalibrated) for each in frames),
            frozenset(verdict.hints),
            ambiguous=ambiguous,
        )
        image.check(verdict.scores.keys())
        return image

    def by_frame(self, numbers: Sequence[int]) -> Self:
        """Return the image with one entry a frame, given the number of the frame that each entry is a view of.

        Of each category the view with the highest score counts, of equal ones the first.
        """
        if len(numbers) != len(self.frames) or len(set(numbers)) == len(numbers):
            return self
        views: dict[int, list[JudgedFrame]] = {}
        for number, view in zip(numbers, self.frames, strict=True):
            views.setdefault(number, []).append(view)
        return replace(self, frames=tuple(_worst(each) for each in views.values()))

    def check(self, covers: Set[str]) -> None:
        """Raise `UnusableScoresError` unless every frame has probabilities for exactly the categories of an engine."""
        for scores in (each for frame in self.frames for each in (frame.scores, frame.uncalibrated)):
            if scores is None:
                continue
            if scores.keys() != covers:
                odd = ", ".join(sorted(scores.keys() ^ covers))
                raise UnusableScoresError(detail=f"scores and covered categories differ in {odd}")
            check_probabilities(scores)


@dataclass(frozen=True, slots=True)
class ImageDecision:
    """A policy's decision on one image, with the scores that it was made on."""

    result: DecisionResult
    counted: JudgedFrame | None
    """What counts of all frames: for each category the score that its rule was applied to. None if not judged."""


def decide_image(policy: Policy, image: JudgedImage) -> ImageDecision:
    """Apply a policy to one image. Live verdicts, shadow policies and backtests decide by this function alone.

    Of each category the frame with the n-th highest score counts, n being the rule's `frames`, or the number of judged
    frames if that is lower. Scores of categories that the policy does not know are ignored.
    """
    counted = _counted(policy, image.frames)
    scores = counted.scores if counted else None
    result = decide(policy, scores, image.hints, unjudged=image.unjudged, ambiguous=image.ambiguous)
    return ImageDecision(result, counted)


def deciding_views(policy: Policy, views: JudgedImage, numbers: Sequence[int]) -> tuple[frozenset[str], ...]:
    """Return for each view of an image the categories whose score counts, given the number of each view's frame."""
    found: list[set[str]] = [set() for _ in views.frames]
    order = [*dict.fromkeys(numbers)]
    frames = views.by_frame(numbers).frames
    for name in frames[0].scores if frames else ():
        number = order[_rank(policy, frames, name)]
        places = [place for place, each in enumerate(numbers) if each == number]
        found[max(places, key=lambda place: views.frames[place].scores[name])].add(name)
    return tuple(map(frozenset, found))


def _counted(policy: Policy, frames: tuple[JudgedFrame, ...]) -> JudgedFrame | None:
    if len(frames) <= 1:
        return frames[0] if frames else None
    return _composed({name: frames[_rank(policy, frames, name)] for name in frames[0].scores})


def _worst(views: Sequence[JudgedFrame]) -> JudgedFrame:
    """Return the highest scores of several views."""
    return _composed({name: max(views, key=lambda view: view.scores[name]) for name in views[0].scores})


def _composed(chosen: Mapping[str, JudgedFrame]) -> JudgedFrame:
    """Return the scores of each category with all facts of what was chosen for it."""
    uncalibrated: Mapping[str, float] = {
        name: frame.uncalibrated[name] for name, frame in chosen.items() if frame.uncalibrated is not None
    }
    return JudgedFrame(
        {name: frame.scores[name] for name, frame in chosen.items()},
        frozenset(name for name, frame in chosen.items() if name in frame.asked),
        uncalibrated or None,
    )


def _rank(policy: Policy, frames: tuple[JudgedFrame, ...], name: str) -> int:
    """Return the place of the frame whose score of a category counts."""
    rule = policy.categories.get(name)
    rank = min(rule.frames if rule else 1, len(frames))
    return sorted(range(len(frames)), key=lambda place: -frames[place].scores[name])[rank - 1]
