"""The tiny model's folder, without running it: tokenizer, chat form and size."""

import itertools
import string
from pathlib import Path
from typing import Any

import pytest

from service.inference.vision.prompt import prompter
from service.policy.loader import load_policies
from service.settings.settings import PolicySettings
from testing.tiny_model.shapes import ALL_INSTRUCTIONS, INSTRUCTIONS
from testing.tiny_model.tiny import model_folder, policy_file

# Transformers comes with vLLM.
pytestmark = pytest.mark.engine

MAX_REPOSITORY_BYTES = 4_000_000


@pytest.fixture(scope="module")
def folder() -> Path:
    return model_folder()


@pytest.fixture(scope="module")
def processor(folder: Path) -> Any:
    from transformers import AutoProcessor  # noqa: PLC0415 - is not everywhere

    return AutoProcessor.from_pretrained(folder)


@pytest.mark.parametrize("word", [*string.ascii_uppercase, "yes", "no", "是", "否"])
def test_every_answer_of_one_word_is_one_token(processor: Any, word: str) -> None:
    asked = processor.tokenizer.encode("<|im_start|>assistant\n")
    answered = processor.tokenizer.encode(f"<|im_start|>assistant\n{word}")
    assert answered[:-1] == asked
    assert processor.tokenizer.decode(answered[-1:]) == word


def test_control_tokens_are_qwens(processor: Any) -> None:
    text = "<|im_start|><|im_end|><|endoftext|><|vision_start|><|image_pad|><|video_pad|><|vision_end|><tool_call>"
    assert len(processor.tokenizer.encode(text)) == 8


def test_the_chat_form_is_qwens(processor: Any) -> None:
    prompt = prompter(INSTRUCTIONS).which("a caption")
    content = [{"type": "image"}, {"type": "text", "text": prompt.question}]
    turns = [{"role": "system", "content": prompt.system}, {"role": "user", "content": content}]
    assert processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False) == (
        f"<|im_start|>system\n{prompt.system}<|im_end|>\n"
        f"<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>{prompt.question}<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_any_text_survives_the_tokenizer(processor: Any) -> None:
    text = 'Ünïcödé 🙂 表情 \t tabs\n\nand "quotes" {braces}'
    assert processor.tokenizer.decode(processor.tokenizer.encode(text)) == text


def test_weights_are_small_enough_for_the_repository(folder: Path) -> None:
    assert sum(path.stat().st_size for path in folder.iterdir()) < MAX_REPOSITORY_BYTES


def test_the_policy_file_asks_what_the_model_was_taught() -> None:
    policies = load_policies(PolicySettings(path=policy_file(), default="shapes"))
    assert prompter(policies.default.instructions).hash == prompter(INSTRUCTIONS).hash


def test_instructions_differ_in_their_prompts() -> None:
    for first, second in itertools.combinations(ALL_INSTRUCTIONS, 2):
        assert prompter(first).hash != prompter(second).hash
