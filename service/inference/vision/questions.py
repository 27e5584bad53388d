"""Sends a model's questions about one image through the limiter, and checks the answers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from service.inference.engine import EngineRequest, Tag
from service.inference.errors import EngineFailedError
from service.inference.vision import explaining, tagging
from service.inference.vision.asking_trace import WHICH, asking
from service.inference.vision.image_input import fit, image_key
from service.inference.vision.preparation import Preparation
from service.inference.vision.prompt import Prompt
from service.inference.vision.request_limiter import RequestLimiter
from service.inference.vision.scores import LabelReading, read_labels
from service.inference.vision.token_model import GeneratedText, ModelRequest, TokenModel
from service.settings.engine import JudgingSettings


class Questions:
    """What can be asked about one image. All of it shares the prompt's beginning and the image, and so the caches."""

    def __init__(
        self,
        model: TokenModel,
        limiter: RequestLimiter,
        settings: JudgingSettings,
        preparation: Preparation,
        request: EngineRequest,
        *,
        request_id: str,
    ) -> None:
        self._model = model
        self._limiter = limiter
        self._settings = settings
        self.preparation = preparation
        """What was worked out for the request's instructions."""
        self._prompter = preparation.prompter
        self._request = request
        self._request_id = request_id
        self._pixels = fit(request.pixels)
        self._image_key = image_key(request.image_key, self._pixels)

    async def which(self) -> LabelReading:
        """Ask for the one category that fits best."""
        return await self._read(WHICH, self._prompter.which(self._request.caption), self.preparation.labels)

    async def is_it(self, category: str) -> float | None:
        """Return the probability that the image shows a category; None if neither yes nor no was the answer."""
        prompt = self._prompter.is_it(self._request.caption, category)
        yes, no = self.preparation.yes, self.preparation.no
        reading = await self._read(f"is_it/{category}", prompt, {**yes, **no})
        if self.preparation.mass_is_known and reading.mass < self._settings.min_label_mass:
            return None
        return min(1.0, math.fsum(reading.shares[form] for form in yes))

    async def tags(self) -> tuple[Mapping[str, tuple[Tag, ...]], bool]:
        """Ask for the attributes; return the valid ones, and whether they are all."""
        attributes = self._request.instructions.attributes
        if attributes is None:
            return {}, True
        written = await self._write(
            "describe",
            self._prompter.describe(self._request.caption),
            self.preparation.tag_schema,
            max_tokens=self.preparation.max_tag_tokens,
        )
        return tagging.read_tags(attributes, written)

    async def why(self, categories: Sequence[str]) -> Mapping[str, str]:
        """Ask for what speaks for categories."""
        settings, max_chars = self._settings, self._settings.max_explanation_chars
        asked = categories[: settings.max_explained]
        written = await self._write(
            "why",
            self._prompter.why(self._request.caption, asked),
            explaining.json_schema(asked, max_chars=max_chars),
            max_tokens=settings.explanation_tokens * len(asked),
        )
        return explaining.read_explanations(written.text, asked, max_chars=max_chars)

    async def _read(self, question: str, prompt: Prompt, words: Mapping[str, int]) -> LabelReading:
        async with self._limiter.place(deadline_s=self._request.deadline_s):
            with asking(question, self.preparation.description):
                answer = await self._model.read(self._ask(question, prompt), words)
        return read_labels(_checked(answer, words))

    async def _write(
        self, question: str, prompt: Prompt, schema: Mapping[str, Any], *, max_tokens: int
    ) -> GeneratedText:
        async with self._limiter.place(deadline_s=self._request.deadline_s):
            with asking(question, self.preparation.description):
                return await self._model.write(self._ask(question, prompt), schema, max_tokens=max_tokens)

    def _ask(self, question: str, prompt: Prompt) -> ModelRequest:
        return ModelRequest(
            request_id=f"{self._request_id}/{question}",
            prompt=prompt,
            pixels=self._pixels,
            image_key=self._image_key,
            adapter=self._request.instructions.adapter,
            losses=self._request.losses,
            clock=self._request.clock,
        )


def _checked(answer: Mapping[str, float], words: Mapping[str, int]) -> Mapping[str, float]:
    """Return what was answered for the words; a broken kernel shows as NaN, which no comparison would catch later."""
    found = {word: answer.get(word, math.nan) for word in words}
    if any(math.isnan(value) or value == math.inf for value in found.values()):
        raise EngineFailedError(detail="the model's probabilities are no numbers")
    return found
