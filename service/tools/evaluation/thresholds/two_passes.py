"""What stored verdicts say about both passes, for images that both of them judged.

They come as verdicts of a run over a dataset, or from an archive, where rows of one policy are read.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb
from pydantic import ValidationError

from schemas.verdict import FirstPassV1, VerdictV1
from service.core.errors import FatalError
from service.core.validation_text import placed_text_of
from service.policy.judged import JudgedImage, decide_image
from service.policy.policy import Policy
from service.tools.evaluation.thresholds.first_pass import TwoPasses

MAX_STORED = 200_000
"""Verdicts that are read of an archive, the newest: far more than any threshold of a first pass needs."""

JUDGE_BOTH = (
    "set clear_below in the policy's first_pass to {default: 0, child_safety: 0}, with which nothing is cleared and"
    " both passes judge every image, and judge the images again"
)

_AMBIGUOUS = "ambiguous: the first pass clears none of them"
_OTHER_THRESHOLDS = "decided by other thresholds than the policy has now"
_UNJUDGED = "not moderated"
_WITHOUT = "without scores of a first pass: tags were wanted, the image is small, or it failed"

# A picture that was uploaded twice would be in both halves.
_STORED = f"""
SELECT image_id, status, decision, policy_hash, ambiguous IS NOT NULL, first_pass
FROM verdicts WHERE policy_name = ?
QUALIFY row_number() OVER (PARTITION BY sha256 ORDER BY moderated_at DESC) = 1
ORDER BY moderated_at DESC LIMIT {MAX_STORED}
"""  # noqa: S608 - the only part that is put in is a number


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


@dataclass(frozen=True, slots=True)
class _Row:
    """What one verdict shows."""

    image_id: str
    is_allowed: bool
    first: FirstPassV1 | None
    left_out: str | None
    """Why it shows nothing about a first pass; None if it does."""


def two_passes(verdicts: Iterable[VerdictV1], policy: Policy) -> BothJudged:
    """Return what both passes find, the full one by the thresholds of a policy.

    Raises `PassesNotComparableError` if the first pass cleared an image, because the full pass never saw it, and if
    the verdicts come from different first passes.
    """
    return _gathered(_judged(each, policy) for each in verdicts)


def stored_passes(connection: duckdb.DuckDBPyConnection, policy: Policy) -> BothJudged:
    """Return what both passes found, by the newest verdict of each picture in the view of `opened_verdicts`.

    Verdicts of other policies have no part in it, and those by other thresholds are left out. Raises as `two_passes`
    does, and for a verdict whose first pass cannot be read.
    """
    cursor = connection.execute(_STORED, [policy.name])
    return _gathered(_rows(cursor, policy))


def _gathered(rows: Iterable[_Row]) -> BothJudged:
    images: list[TwoPasses] = []
    left_out: Counter[str] = Counter()
    by: Counter[str] = Counter()
    cleared = 0
    for row in rows:
        if row.left_out is not None or row.first is None:
            left_out[row.left_out or _WITHOUT] += 1
            continue
        cleared += row.first.decided
        by[_named(row.first)] += 1
        images.append(TwoPasses(row.image_id, row.first.scores, row.is_allowed))
    _check(cleared, by)
    return BothJudged(images, dict(left_out))


def _judged(verdict: VerdictV1, policy: Policy) -> _Row:
    decision = decide_image(policy, JudgedImage.from_verdict(verdict)).result.decision
    why = _why_left_out(verdict.status, is_ambiguous=bool(verdict.ambiguous), first=verdict.first_pass)
    return _Row(verdict.image_id, decision == "allow", verdict.first_pass, why)


def _rows(cursor: duckdb.DuckDBPyConnection, policy: Policy) -> Iterator[_Row]:
    while found := cursor.fetchmany(1000):
        for image_id, status, decision, policy_hash, is_ambiguous, text in found:
            first = None if text is None else _parsed(image_id, text)
            why = _why_left_out(status, is_ambiguous=is_ambiguous, first=first)
            if why is None and policy_hash != policy.hash:
                why = _OTHER_THRESHOLDS
            yield _Row(image_id, decision == "allow", first, why)


def _parsed(image_id: str, text: str) -> FirstPassV1:
    try:
        return FirstPassV1.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]
        detail = f"the first pass in the verdict on {image_id!r} cannot be read: {placed_text_of(fault)}"
        raise PassesNotComparableError(detail=detail) from None


def _why_left_out(status: str, *, is_ambiguous: bool, first: FirstPassV1 | None) -> str | None:
    if status != "moderated":
        return _UNJUDGED
    if is_ambiguous:
        return _AMBIGUOUS
    # Of several views the highest score of a category stands there, and an image is cleared by all of them or by none.
    return _WITHOUT if first is None else None


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
