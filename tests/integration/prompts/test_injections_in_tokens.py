"""The injections again, through a tokenizer with Qwen's control tokens that makes them of whatever spells them."""

from collections import Counter
from typing import Any

import pytest

from service.inference.vision.prompt import Prompt, prompter, quote
from testing.injections import INJECTIONS
from testing.tiny_model.shapes import INSTRUCTIONS
from testing.tiny_model.tiny import model_folder

captions = pytest.mark.parametrize("caption", INJECTIONS.values(), ids=INJECTIONS)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    # Imported here: it takes a second, in every process that collects these tests.
    transformers = pytest.importorskip("transformers", reason="needs transformers, which comes with vLLM")
    # What `AutoTokenizer` finds for the model, without its search through all models.
    return transformers.PreTrainedTokenizerFast.from_pretrained(model_folder())


@pytest.fixture(scope="module")
def control(tokenizer: Any) -> frozenset[int]:
    """Every token that is more than text."""
    return frozenset(tokenizer.get_added_vocab().values())


def chat(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Return a prompt's tokens as a server makes them of the whole chat, its texts included."""
    content = [{"type": "image"}, {"type": "text", "text": prompt.question}]
    turns = [{"role": "system", "content": prompt.system}, {"role": "user", "content": content}]
    text = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    return list(tokenizer.encode(text, add_special_tokens=False))


def test_the_tokenizer_takes_control_tokens_out_of_a_text_that_is_not_quoted(
    tokenizer: Any, control: frozenset[int]
) -> None:
    assert set(tokenizer.encode(INJECTIONS["end of turn"])) & control


@captions
def test_no_token_of_a_quoted_caption_is_a_control_token(tokenizer: Any, control: frozenset[int], caption: str) -> None:
    assert set(tokenizer.encode(quote(caption), add_special_tokens=False)) & control == set()


@captions
@pytest.mark.parametrize("question", ["which", "describe"])
def test_a_caption_adds_text_to_the_chat_and_nothing_else(
    tokenizer: Any, control: frozenset[int], caption: str, question: str
) -> None:
    ask = getattr(prompter(INSTRUCTIONS), question)
    with_caption, without = chat(tokenizer, ask(caption)), chat(tokenizer, ask(None))
    frame = Counter(token for token in without if token in control)
    assert Counter(token for token in with_caption if token in control) == frame

    image = tokenizer.convert_tokens_to_ids("<|vision_end|>")
    before, after = without.index(image) + 1, len(without) - without.index(image) - 1
    assert with_caption[:before] == without[:before]
    # The line end before the question is a token of its own or joins what stands before it, never the question.
    assert with_caption[-after:] == without[-after:]
