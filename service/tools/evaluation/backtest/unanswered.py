"""What stored scores cannot answer about a new policy: which images the model would have to judge again, and why.

A verdict names what its scores depend on: prompt, preprocessing, adapter, calibration file. Where the new policy has
another one, scores would differ. Nothing is known of an engine that changed by itself, and of verdicts that were made
before `asked` was a field of theirs, an upper bound.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlglot import exp

from service.inference.first_pass.reducer import reduced_preprocessing
from service.inference.vision.image_input import image_spec, preprocessing
from service.inference.vision.prompt import prompter
from service.policy.policy import Policy
from service.tools.evaluation.backtest.policy_sql import double, sql

# Only a language model has a prompt; the scores of a classifier depend on none of what a policy says.
_BY_PROMPT = "prompt_hash IS NOT NULL"
_JUDGED = "status = 'moderated'"
# What a first pass cleared was never asked in full, so that only the new first pass can be compared.
_CLEARED = "COALESCE(first_pass_decided, FALSE)"
_IN_FULL = f"NOT {_CLEARED}"


@dataclass(frozen=True, slots=True)
class OpenQuestion:
    """A difference between how scores were made and how the new policy would have them made."""

    kind: str
    category: str | None
    detail: str
    condition: str
    """True for the verdicts whose scores do not answer, as SQL of DuckDB."""
    is_answered_by_judging: bool = True
    """False if the engine of these verdicts would not know better."""


def open_questions(policy: Policy, calibration_file: str | None) -> list[OpenQuestion]:
    """Return all differences to look for, whether or not they occur."""
    return [*_categories(policy), *_prompts(policy), _first_pass(policy), *_others(policy, calibration_file)]


def needs_judging(questions: Iterable[OpenQuestion]) -> str:
    """Return the condition for verdicts of images that the model has to judge again, as SQL of DuckDB."""
    return " OR ".join(f"({each.condition})" for each in questions if each.is_answered_by_judging)


def _categories(policy: Policy) -> Iterator[OpenQuestion]:
    for name in policy.names:
        if name not in policy.categories or not [*policy.categories[name].thresholds()]:
            continue
        missing = f"{_JUDGED} AND {_quoted(f'score_{name}')} IS NULL"
        yield OpenQuestion(
            "category.new",
            name,
            f"the policy has a rule for {name}, which the model was not asked about",
            f"{missing} AND {_BY_PROMPT}",
        )
        yield OpenQuestion(
            "category.not_covered",
            name,
            f"the classifier of these verdicts does not look for {name}, so the policy's rule for it decides nothing,"
            " and judging again would not help",
            f"{missing} AND NOT {_BY_PROMPT}",
            is_answered_by_judging=False,
        )


def _prompts(policy: Policy) -> Iterator[OpenQuestion]:
    instructions = policy.instructions
    yield OpenQuestion(
        "definition.changed",
        None,
        "the prompt differs: a definition, the list of categories, the language or the attributes of tags",
        f"prompt_hash <> {_text(prompter(instructions).hash)}",
    )
    total = " + ".join(f"COALESCE({_quoted(f'score_{name}')}, 0)" for name in policy.names)
    asked = " OR ".join(_quoted(f"asked_{name}") for name in policy.names)
    threshold = instructions.follow_up_threshold
    yield OpenQuestion(
        "follow_up.lower",
        None,
        f"the model was asked no follow-up questions, and now is from {threshold:g} on (at most this many images where"
        " several frames were judged)",
        f"{_JUDGED} AND {_IN_FULL} AND {_BY_PROMPT} AND NOT ({asked}) AND"
        f" {total} >= {sql(double(threshold), 'duckdb')}",
    )
    yield OpenQuestion(
        "vision_tokens.changed",
        None,
        f"images were given to the model in another way than with vision_tokens: {policy.vision_tokens}",
        f"{_IN_FULL} AND {_BY_PROMPT} AND preprocessing IS DISTINCT FROM {_text(preprocessing(policy.vision_tokens))}",
    )


def _first_pass(policy: Policy) -> OpenQuestion:
    """Return the question about images that a first pass cleared: their decision stands if the new one clears them."""
    rule = policy.instructions.first_pass
    kind = "first_pass.cleared"
    if rule is None:
        detail = "a first pass cleared the image, and the policy has none: the full pass was never asked about it"
        return OpenQuestion(kind, None, detail, _CLEARED)
    named = reduced_preprocessing(
        preprocessing(rule.vision_tokens), full=image_spec(policy.vision_tokens), first=image_spec(rule.vision_tokens)
    )
    seen = f"{_BY_PROMPT} AND preprocessing IS DISTINCT FROM {_text(named)}"
    above = (
        f"COALESCE({_quoted(f'score_{name}')} >= {sql(double(below), 'duckdb')}, FALSE)"
        for name, below in rule.clear_below
    )
    return OpenQuestion(
        kind,
        None,
        "a first pass cleared the image, and the policy's would not, or looks at it in another way: the full pass was"
        " never asked about it",
        f"{_CLEARED} AND (({seen}) OR {' OR '.join(above)})",
    )


def _others(policy: Policy, calibration_file: str | None) -> Iterator[OpenQuestion]:
    yield OpenQuestion(
        "adapter.changed",
        None,
        f"the model had another adapter than {policy.adapter}" if policy.adapter else "the model had an adapter",
        f"{_IN_FULL} AND {_BY_PROMPT} AND adapter IS DISTINCT FROM {_text(policy.adapter)}",
    )
    yield OpenQuestion(
        "calibration.changed",
        None,
        f"scores were not calibrated by {calibration_file}, which policy.calibration names"
        if calibration_file
        else "scores were calibrated by a file, and the setting policy.calibration names none",
        f"{_JUDGED} AND {_IN_FULL} AND calibration_file IS DISTINCT FROM {_text(calibration_file)}",
    )
    # The engine would not judge it again either, unless it is asked something else, which other questions find.
    yield OpenQuestion(
        "image.not_judged",
        None,
        "no model judged the image, so it has no scores",
        f"NOT ({_JUDGED})",
        is_answered_by_judging=False,
    )


def _quoted(column: str) -> str:
    return exp.column(column, quoted=True).sql("duckdb")


def _text(value: str | None) -> str:
    return "NULL" if value is None else exp.Literal.string(value).sql("duckdb")
