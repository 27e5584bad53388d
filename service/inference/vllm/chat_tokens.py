"""Pure: encodes a prompt as token ids of Qwen's chat form, in which no text can become a control token."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise
from types import MappingProxyType
from typing import Any

import structlog

from service.inference.errors import EngineConfigurationError
from service.inference.vision.prompt import Prompt

log = structlog.get_logger(__name__)

Encode = Callable[[str], Sequence[int]]
"""Text → token ids."""

START, END = "<|im_start|>", "<|im_end|>"
VISION_START, IMAGE, VISION_END = "<|vision_start|>", "<|image_pad|>", "<|vision_end|>"
CONTROL_TOKENS = (START, END, VISION_START, IMAGE, VISION_END)
"""What the chat form is built of; the engine puts as many image tokens in the place of the one as the image has."""

_PROMPT = Prompt("Categories:\nA: none of the others", "Which category is it?\nAnswer with its letter alone.")
_TURNS: Sequence[Mapping[str, Any]] = (
    {"role": "system", "content": _PROMPT.system},
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": _PROMPT.question}]},
)
"""The same prompt in the form that chat templates take."""

# Policies' texts are encoded once each, not for every image; more policies than this share the places.
_REMEMBERED_TEXTS = 256


@dataclass(frozen=True, slots=True)
class ChatTokens:
    """Writes prompts as the model's own chat template does.

    A tokenizer splits a text at its control tokens and encodes the parts between them on their own. So does this, but
    the control tokens are put in as ids: whatever stands in a text stays text.
    """

    encode: Encode
    control: Mapping[str, int]

    def prompt(self, prompt: Prompt) -> list[int]:
        """Return the ids of a prompt with one image, up to where the answer begins."""
        return [*self._before_image(prompt.system), *self._after_image(prompt.question)]

    def first_token(self, word: str) -> int:
        """Return the token that an answer begins with when it begins with a word."""
        return self.encode(word)[0]

    def _before_image(self, system: str) -> Sequence[int]:
        ids = self.control
        return [
            *(ids[START], *self.encode(f"system\n{system}"), ids[END], *self.encode("\n")),
            *(ids[START], *self.encode("user\n"), ids[VISION_START], ids[IMAGE], ids[VISION_END]),
        ]

    def _after_image(self, question: str) -> Sequence[int]:
        ids = self.control
        return [
            *(*self.encode(question), ids[END], *self.encode("\n")),
            *(ids[START], *self.encode("assistant\n")),
        ]


def chat_tokens(encode: Encode, added: Mapping[str, int]) -> ChatTokens:
    """Return a writer that remembers texts that it has encoded.

    `added` are all tokens that a tokenizer finds in a text before anything else: the control tokens, and those for
    tools and thoughts, which count as ordinary ones and which no option of a tokenizer keeps from being found.
    """
    remembered = lru_cache(maxsize=_REMEMBERED_TEXTS)(lambda text: tuple(_spelt_out(text, encode, starts)))
    starts = re.compile(f"(?={'|'.join(map(re.escape, added))})")
    return ChatTokens(remembered, MappingProxyType({token: added[token] for token in CONTROL_TOKENS}))


def tokenizer_chat(tokenizer: Any) -> ChatTokens:
    """Return what writes prompts with a tokenizer of transformers, compared with the chat template that comes with it.

    Raises `EngineConfigurationError` if they differ: the model was trained on another form of chat.
    """

    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
        return ids

    chat = chat_tokens(encode, tokenizer.get_added_vocab())
    if getattr(tokenizer, "chat_template", None):
        text = tokenizer.apply_chat_template(_TURNS, add_generation_prompt=True, tokenize=False)
        _check_template(built=chat.prompt(_PROMPT), rendered=encode(text))
    else:
        log.warning("engine.no_chat_template", detail="prompts have Qwen3-VL's form, unchecked")
    return chat


def _check_template(*, built: Sequence[int], rendered: Sequence[int]) -> None:
    if built == rendered:
        return
    differing = (place for place, (one, other) in enumerate(zip(built, rendered, strict=False)) if one != other)
    place = next(differing, min(len(built), len(rendered)))
    detail = (
        f"its chat template is not that of a Qwen3-VL Instruct model: from token {place + 1} on, the prompt as the "
        "service writes it is another one than the template's"
    )
    raise EngineConfigurationError(setting="engine.vllm.model", detail=detail)


def _spelt_out(text: str, encode: Encode, starts: re.Pattern[str]) -> Iterable[int]:
    """Encode a text in pieces: what spells an added token is cut after its first character."""
    cuts = [0, *(found.start() + 1 for found in starts.finditer(text)), len(text)]
    return chain.from_iterable(encode(text[start:end]) for start, end in pairwise(cuts) if start < end)
