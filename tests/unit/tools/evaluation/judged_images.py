"""Policies with frames, images that lie on their thresholds, and the columns that an archive stores of them."""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from math import nextafter

from hypothesis import strategies as st

from service.core.ambiguity import FEATURES
from service.policy.definitions import Definition
from service.policy.judged import JudgedFrame, JudgedImage, decide_image
from service.policy.policy import CategoryRule, Policy
from service.policy.taxonomy import CHILD_SAFETY, NAMES
from tests.unit.policy.policies import OWN_NAMES, ambiguity, decisions

# The smallest double, what a decimal literal would get wrong, and both ends.
EDGES = (0.0, -0.0, 5e-324, 0.1, 0.1 + 0.2, 0.3, nextafter(0.3, 0), 0.5, nextafter(1.0, 0), 1.0)

SHARE_OF_HINTS = 0.2
SHARE_OF_EDGES = 0.7
SHARE_OF_AMBIGUOUS = 0.3

# One that only a newer writer knows.
AMBIGUOUS = (*FEATURES, "of_a_newer_version")

# Few values, so that scores equal thresholds and margins equal each other, and any others.
shares = st.sampled_from(EDGES) | st.floats(0.0, 1.0)
frames = st.integers(1, 4)


@st.composite
def rules(draw: st.DrawFn) -> CategoryRule:
    """Return a rule with any of the three thresholds."""
    label, review, block = sorted(draw(st.tuples(shares, shares, shares)))
    kept = draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    chosen = [threshold if keep else None for threshold, keep in zip((label, review, block), kept, strict=True)]
    return CategoryRule(label=chosen[0], review=chosen[1], block=chosen[2], frames=draw(frames))


@st.composite
def own_rules(draw: st.DrawFn) -> CategoryRule:
    """Return a rule of a policy's own category."""
    return draw(rules()).model_copy(update={"definition": Definition(means="a shape")})


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Return a policy; categories are few or all."""
    return Policy(
        name="random",
        version="1",
        when_not_moderated=draw(decisions),
        ambiguous=draw(ambiguity),
        categories=draw(st.dictionaries(st.sampled_from(NAMES), rules()))
        | {CHILD_SAFETY: CategoryRule(review=draw(st.sampled_from((0.0, 0.1, 0.5))))}
        | draw(st.dictionaries(st.sampled_from(OWN_NAMES), own_rules())),
    )


def images(policy: Policy, *, rows: int, seed: int) -> list[JudgedImage]:
    """Return images of up to four frames, with scores on and around the policy's thresholds; some are unjudged.

    Drawn by a seed, because Hypothesis would take longer for them than the databases do.
    """
    draw = random.Random(seed)
    thresholds = [threshold for rule in policy.categories.values() for _, threshold in rule.thresholds()]
    around = [nextafter(threshold, end) for threshold in thresholds for end in (0.0, 1.0)]
    values = (*thresholds, *around, *EDGES)
    return [_image(draw, (*policy.names, "unknown_to_the_policy"), values) for _ in range(rows)]


def _image(draw: random.Random, names: Sequence[str], values: Sequence[float]) -> JudgedImage:
    covered = draw.sample(names, draw.choice((0, 1, 2, 3, len(names))))
    hints = frozenset(name for name in covered if draw.random() < SHARE_OF_HINTS)
    judged = [
        {name: draw.choice(values) if draw.random() < SHARE_OF_EDGES else draw.random() for name in covered}
        for _ in range(draw.randint(1, 4) if covered else 0)
    ]
    features = draw.sample(AMBIGUOUS, draw.randint(1, 3)) if draw.random() < SHARE_OF_AMBIGUOUS else ()
    return JudgedImage(tuple(JudgedFrame(scores, frozenset()) for scores in judged), hints, None, frozenset(features))


@st.composite
def batches(draw: st.DrawFn, *, rows: int) -> tuple[Policy, list[JudgedImage]]:
    """Return a policy and images for it: many rows a query, because the query costs more than a row."""
    policy = draw(policies())
    return policy, images(policy, rows=rows, seed=draw(st.integers(0, 2**32)))


Decided = tuple[str, str | None]
"""The decision, and the category that it rests on."""


def differences(
    policy: Policy, images: Sequence[JudgedImage], found: Sequence[Decided]
) -> list[tuple[JudgedImage, Decided, Decided]]:
    """Return the images that were decided in another way than by `decide_image`; a diff of all would take minutes."""
    results = [decide_image(policy, image).result for image in images]
    expected = [(result.decision, result.deciding_category) for result in results]
    return [each for each in zip(images, found, expected, strict=True) if each[1] != each[2]]


def stored(images: Iterable[JudgedImage], columns: Iterable[str]) -> Mapping[str, Sequence[float | bool | str | None]]:
    """Return what an archive stores of images, in the columns that are named."""
    listed = [*images]
    return {column: [_value(image, column) for image in listed] for column in columns}


def _value(image: JudgedImage, column: str) -> float | bool | str | None:
    if column == "status":
        return "moderated" if image.frames else "not_moderated"
    if column == "ambiguous":
        return json.dumps(sorted(image.ambiguous), separators=(",", ":")) if image.ambiguous else None
    kind, _, name = column.partition("_")
    if kind == "hint":
        return name in image.hints
    number, _, category = name.partition("_")
    place, category = (int(number) - 1, category) if number.isdigit() else (0, name)
    scores = sorted((frame.scores[category] for frame in image.frames if category in frame.scores), reverse=True)
    return scores[place] if place < len(scores) else None
