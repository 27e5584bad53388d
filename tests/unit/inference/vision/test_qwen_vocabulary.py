"""What labels and answers are in the vocabulary of Qwen's models, as Alibaba's own client library holds it."""

import base64
from importlib.metadata import distribution
from pathlib import Path

import pytest
import tiktoken

from service.core.instructions import CategoryDefinition, Language, ModelInstructions
from service.inference.vision.labels import MAX_CATEGORIES, NO_FORMS, YES_FORMS, forms, label_map
from service.inference.vision.phrases import PHRASES, Phrases

_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
"""How Qwen's tokenizer splits a text; of its tokenizer.json."""


@pytest.fixture(scope="module")
def qwen() -> tiktoken.Encoding:
    # Found without an import of the library, which takes seconds.
    vocabulary = Path(str(distribution("dashscope").locate_file("dashscope/resources/qwen.tiktoken")))
    lines = vocabulary.read_bytes().splitlines()
    ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines)}
    return tiktoken.Encoding("qwen", pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens={})


def test_every_label_is_one_token_of_its_own(qwen: tiktoken.Encoding) -> None:
    labels = label_map(ModelInstructions(tuple(CategoryDefinition(f"c{each}", "x") for each in range(MAX_CATEGORIES))))
    tokens = [qwen.encode(label) for label in labels]
    assert {len(each) for each in tokens} == {1}
    assert len({each[0] for each in tokens}) == len(labels)


@pytest.mark.parametrize("language", PHRASES)
def test_every_form_of_yes_and_no_is_one_token_that_counts(qwen: tiktoken.Encoding, language: Language) -> None:
    tokens = {form: qwen.encode(form) for form in (*YES_FORMS, *NO_FORMS)}
    assert {form for form, each in tokens.items() if len(each) > 1} == set()
    phrases = PHRASES[language]
    yes, no = forms({form: each[0] for form, each in tokens.items()}, yes=phrases.yes, no=phrases.no)
    assert set(yes) == set(YES_FORMS)
    assert set(no) == set(NO_FORMS)
    assert (yes["Yes"], yes["yes"]) == (9454, 9693)


@pytest.mark.parametrize("language", PHRASES)
def test_every_phrase_is_encoded_without_loss(qwen: tiktoken.Encoding, language: Language) -> None:
    for name in Phrases.__slots__:
        text = getattr(PHRASES[language], name)
        assert qwen.decode(qwen.encode(text)) == text
