"""Pure: encodes a prompt as token ids of Qwen's chat form, in which no text can become a control token."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, pairwise
from types import MappingProxyType

from service.inference.vision.prompt import Prompt

Encode = Callable[[str], Sequence[int]]
"""Text → token ids."""

START, END = "<|im_start|>", "<|im_end|>"
VISION_START, IMAGE, VISION_END = "<|vision_start|>", "<|image_pad|>", "<|vision_end|>"
CONTROL_TOKENS = (START, END, VISION_START, IMAGE, VISION_END)
"""What the chat form is built of; the engine puts as many image tokens in the place of the one as the image has."""

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


def _spelt_out(text: str, encode: Encode, starts: re.Pattern[str]) -> Iterable[int]:
    """Encode a text in pieces: what spells an added token is cut after its first character."""
    cuts = [0, *(found.start() + 1 for found in starts.finditer(text)), len(text)]
    return chain.from_iterable(encode(text[start:end]) for start, end in pairwise(cuts) if start < end)
