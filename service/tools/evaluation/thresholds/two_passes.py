"""Pure: what stored verdicts say about both passes, for images that both of them judged."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from schemas.verdict import FirstPassV1, VerdictV1
from service.core.errors import FatalError
from service.policy.judged import JudgedImage, decide_image
from service.policy.policy import Policy
from service.tools.evaluation.thresholds.first_pass import TwoPasses

JUDGE_BOTH = (
    "set clear_below in the policy's first_pass to {default: 0, child_safety: 0}, with which nothing is cleared and"
    " both passes judge every image, and judge the images again"
)


class PassesNotComparableError(FatalError):
    """Verdicts do not show what both passes find in the same images."""

    reason = "thresholds.passes_not_comparable"
    message = "{detail}"


@dataclass(frozen=True, slots=True)
class BothJudged:
    """Images that both passes judged, and how many verdicts are about others."""

    images: Sequence[TwoPasses]
    left_out: Mapping[str, int]
    """Verdicts by the reason why they show nothing about a first pass."""


def two_passes(verdicts: Iterable[VerdictV1], policy: Policy) -> BothJudged:
    """Return what both passes find, the full one by the thresholds of a policy.

    Raises `PassesNotComparableError` if the first pass cleared an image, because the full pass never saw it, and if
    the verdicts come from different first passes.
    """
    images: list[TwoPasses] = []
    left_out: Counter[str] = Counter()
    by: Counter[str] = Counter()
    cleared = 0
    for verdict in verdicts:
        why, first = _why_left_out(verdict), verdict.first_pass
        if why is not None or first is None:
            left_out[why or "without a first pass"] += 1
            continue
        cleared += first.decided
        by[_named(first)] += 1
        decision = decide_image(policy, JudgedImage.from_verdict(verdict)).result.decision
        images.append(TwoPasses(verdict.image_id, first.scores, decision == "allow"))
    _check(cleared, by)
    return BothJudged(images, dict(left_out))


def _why_left_out(verdict: VerdictV1) -> str | None:
    if verdict.status != "moderated":
        return "not moderated"
    if verdict.ambiguous:
        return "ambiguous: the first pass clears none of them"
    if verdict.first_pass is None:
        return "without scores of a first pass: tags were wanted, the image is small, or it failed"
    # Frames are cleared one by one, which scores of the whole image do not show.
    return "several frames or views" if verdict.frames or verdict.views else None


def _named(first: FirstPassV1) -> str:
    prompt = f", prompt {first.prompt_hash[:8]}" if first.prompt_hash else ""
    return f"{first.engine} {first.model.name}{prompt}, {first.preprocessing}"


def _check(cleared: int, by: Mapping[str, int]) -> None:
    if cleared:
        detail = f"{cleared:,} of {sum(by.values()):,} images were cleared by the first pass, and the full pass never"
        raise PassesNotComparableError(detail=f"{detail} judged them: {JUDGE_BOTH}")
    if len(by) > 1:
        found = "; ".join(f"{name} ({count:,})" for name, count in sorted(by.items()))
        detail = f"the verdicts have different first passes, whose scores are not comparable: {found}"
        raise PassesNotComparableError(detail=f"{detail}. Choose verdicts of one of them, or judge the images again")
