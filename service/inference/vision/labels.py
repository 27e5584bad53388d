"""Pure: the one-token labels of the instructions' categories, and the forms of yes and no."""

import hashlib
import json
import string
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from service.core.instructions import ModelInstructions
from service.inference.errors import LabelCollisionError, TooManyCategoriesError

NONE = "none"
"""What the first label stands for: no category of the instructions."""

_LETTERS = string.ascii_uppercase + string.ascii_lowercase
_NONE_LABEL = _LETTERS[0]
# vLLM reads the probabilities of at most 128 tokens; letters end sooner, and so does what a model can keep apart.
MAX_CATEGORIES = len(_LETTERS) - 1

YES_FORMS = ("yes", "Yes", "YES", " yes", " Yes", "是", "有", "对")
NO_FORMS = ("no", "No", "NO", " no", " No", "没有", "不是", "否", "不", "没", "无")
"""What models write for yes and no, whichever of them a question asks for. Each form is one token of its own in Qwen's
vocabulary, and the probability of an answer is the sum over its forms."""

LabelMap = Mapping[str, str]
"""Label → category, or `NONE`."""


def label_map(instructions: ModelInstructions) -> LabelMap:
    """Return a label for every category; raise `LabelCollisionError` or `TooManyCategoriesError` if impossible."""
    if len(instructions.categories) > MAX_CATEGORIES:
        raise TooManyCategoriesError(count=len(instructions.categories), limit=MAX_CATEGORIES)
    own = [category.label for category in instructions.categories if category.label is not None]
    free = (letter for letter in _LETTERS[1:] if letter not in own)
    labels = {_NONE_LABEL: NONE}
    for category in instructions.categories:
        label = category.label or next(free)
        if label in labels:
            raise LabelCollisionError(first=labels[label], second=category.name, token=label)
        labels[label] = category.name
    return MappingProxyType(labels)


def check_first_tokens(labels: LabelMap, tokens: Mapping[str, int]) -> None:
    """Raise `LabelCollisionError` if the answers of two categories would start with the same token."""
    owners: dict[int, str] = {}
    for label, category in labels.items():
        first = owners.setdefault(tokens[label], category)
        if first != category:
            raise LabelCollisionError(first=first, second=category, token=label)


def forms(tokens: Mapping[str, int], *, yes: str, no: str) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Return the forms of yes and of no with their first tokens, each token once.

    `tokens` holds the first token of every form, and `yes` and `no` are the forms that the question asks for. A token
    that could begin a form of either answer counts for neither. Raises `LabelCollisionError` if `yes` and `no` begin
    with the same token.
    """
    check_first_tokens({yes: yes, no: no}, tokens)
    yes_tokens = _by_token((yes, *YES_FORMS), tokens)
    no_tokens = _by_token((no, *NO_FORMS), tokens)
    shared = (yes_tokens.keys() & no_tokens.keys()) - {tokens[yes], tokens[no]}
    return (
        {form: token for token, form in yes_tokens.items() if token not in {*shared, tokens[no]}},
        {form: token for token, form in no_tokens.items() if token not in {*shared, tokens[yes]}},
    )


def _by_token(words: Sequence[str], tokens: Mapping[str, int]) -> Mapping[int, str]:
    """Return the first word that begins with each token."""
    return {tokens[word]: word for word in reversed(words)}


def label_map_hash(labels: LabelMap) -> str:
    """Return a checksum of what each label stands for."""
    canonical = json.dumps(list(labels.items()), ensure_ascii=False, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()[:16]}"
