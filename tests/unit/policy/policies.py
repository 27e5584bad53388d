"""Policies and scores for property tests."""

from hypothesis import strategies as st

from service.core.ambiguity import FEATURES
from service.policy.definitions import Definition
from service.policy.policy import CategoryRule, Policy
from service.policy.taxonomy import CHILD_SAFETY, NAMES

OWN_NAMES = ("red_circle", "blue_square")

CHILD_RULE = CategoryRule(review=0.1, block=0.8)

shares = st.floats(0.0, 1.0)
decisions = st.sampled_from(("allow", "review", "block"))

features = st.frozensets(st.sampled_from((*FEATURES, "of_a_newer_version")), max_size=3)
ambiguity = decisions | st.dictionaries(st.sampled_from(("default", *FEATURES)), decisions, max_size=3)
"""What a policy may say of features that viewers may show otherwise."""


@st.composite
def rules(draw: st.DrawFn) -> CategoryRule:
    label, review, block = sorted(draw(st.tuples(shares, shares, shares)))
    kept = draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    thresholds = [threshold if keep else None for threshold, keep in zip((label, review, block), kept, strict=True)]
    return CategoryRule(label=thresholds[0], review=thresholds[1], block=thresholds[2], frames=draw(st.integers(1, 4)))


own_rules = st.builds(
    lambda rule, means: rule.model_copy(update={"definition": Definition(means=means)}),
    rules(),
    st.sampled_from(("a red circle", "a blue square")),
)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    return Policy(
        name=draw(st.sampled_from(("default", "strict"))),
        version=draw(st.sampled_from(("1", "2"))),
        when_not_moderated=draw(decisions),
        ambiguous=draw(ambiguity),
        categories=draw(st.dictionaries(st.sampled_from(NAMES), rules()))
        | {CHILD_SAFETY: CHILD_RULE}
        | draw(st.dictionaries(st.sampled_from(OWN_NAMES), own_rules)),
    )


scores = st.dictionaries(st.sampled_from(NAMES), shares, min_size=1)
names = st.frozensets(st.sampled_from(NAMES))
