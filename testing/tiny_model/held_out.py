"""Images that the model was not trained on, and what it says of them."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from service.core.instructions import ModelInstructions
from service.core.pixels import RgbPixels
from service.inference.vision.labels import NO_FORMS, NONE, YES_FORMS, forms
from service.inference.vision.prompt import Prompt, Prompter, prompter
from service.inference.vision.scores import LabelReading, read_labels
from service.inference.vision.token_model import ModelRequest, TokenModel
from testing.tiny_model.captions import small_talk, unseen_order
from testing.tiny_model.scenes import Scene, draw, random_scene
from testing.tiny_model.shapes import HARMLESS, Kind

# Training draws from other seeds.
_SEED = 20_000
# More would only wait inside the engine.
_IN_FLIGHT = 32
# Of an answer: the longest right one has 60.
_MAX_TOKENS = 120


@dataclass(frozen=True, slots=True)
class Sample:
    """One image with what came with it."""

    scene: Scene
    pixels: RgbPixels
    caption: str | None
    key: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What the model says of one sample."""

    sample: Sample
    reading: LabelReading
    """Of the list of categories."""
    yes: Mapping[str, float]
    """Probability of yes by category, of those that were asked about."""

    @property
    def best(self) -> str:
        """The likeliest label."""
        return max(self.reading.shares, key=lambda label: self.reading.shares[label])


def samples(
    count: int, *, harmful: int | None = None, harmless: Sequence[Kind] = HARMLESS, seed: int = _SEED
) -> list[Sample]:
    """Return held-out images; a third has no caption, a third a harmless one, and a third gives an order."""
    rng = np.random.default_rng([seed, 3 if harmful is None else harmful])
    scenes = [random_scene(rng, harmful=harmful, harmless=harmless) for _ in range(count)]
    captions = [[None, small_talk(rng), unseen_order(rng)][place % 3] for place in range(count)]
    return [
        Sample(scene, draw(scene), caption, f"{seed}/{harmful}/{len(harmless)}/{place}")
        for place, (scene, caption) in enumerate(zip(scenes, captions, strict=True))
    ]


def altered(originals: Sequence[Sample], change: Callable[[RgbPixels], RgbPixels]) -> list[Sample]:
    """Return the same images with changed pixels."""
    name = change.__name__
    return [replace(each, pixels=change(each.pixels), key=f"{name}/{each.key}") for each in originals]


def swapped(pixels: RgbPixels) -> RgbPixels:
    """Take red for blue, as a decoder does that another library is used to."""
    return np.ascontiguousarray(pixels[:, :, ::-1])


def shrunk(pixels: RgbPixels) -> RgbPixels:
    """Leave 8 × 8 pixels of the image."""
    height, width = pixels.shape[:2]
    return np.asarray(Image.fromarray(pixels).resize((8, 8)).resize((width, height)))


class Asker:
    """Asks a model about samples, many side by side."""

    def __init__(self, model: TokenModel, instructions: ModelInstructions) -> None:
        self._model = model
        self._instructions = instructions
        self._prompter: Prompter = prompter(instructions)
        self._places = asyncio.Semaphore(_IN_FLIGHT)

    async def judge(self, asked: Sequence[Sample], *, one_by_one: bool = False) -> list[Judged]:
        """Ask for the best label; `one_by_one` asks about each category too."""
        asked_for = [*self._prompter.labels, *YES_FORMS, *NO_FORMS]
        words = await self._model.prepare(self._instructions.adapter, asked_for)
        return await asyncio.gather(*(self._judge(sample, words, one_by_one=one_by_one) for sample in asked))

    async def write_tags(self, sample: Sample, json_schema: Mapping[str, object]) -> str:
        """Ask for the attributes."""
        prompt = self._prompter.describe(sample.caption)
        return await self._write(sample, "describe", prompt, json_schema)

    async def write_reasons(self, sample: Sample, categories: Sequence[str], json_schema: Mapping[str, object]) -> str:
        """Ask what speaks for categories."""
        return await self._write(sample, "why", self._prompter.why(sample.caption, categories), json_schema)

    async def _judge(self, sample: Sample, words: Mapping[str, int], *, one_by_one: bool) -> Judged:
        labels = {label: words[label] for label in self._prompter.labels}
        which = await self._read(sample, "which", self._prompter.which(sample.caption), labels)
        names = [name for name in self._prompter.labels.values() if name != NONE] if one_by_one else []
        phrases = self._prompter.phrases
        yes, no = forms(words, yes=phrases.yes, no=phrases.no)
        answers = [
            await self._read(sample, name, self._prompter.is_it(sample.caption, name), {**yes, **no}) for name in names
        ]
        shares = {
            name: math.fsum(answer.shares[form] for form in yes) for name, answer in zip(names, answers, strict=True)
        }
        return Judged(sample, which, shares)

    async def _read(self, sample: Sample, question: str, prompt: Prompt, words: Mapping[str, int]) -> LabelReading:
        async with self._places:
            return read_labels(await self._model.read(self._ask(sample, question, prompt), words))

    async def _write(self, sample: Sample, question: str, prompt: Prompt, json_schema: Mapping[str, object]) -> str:
        async with self._places:
            written = await self._model.write(self._ask(sample, question, prompt), json_schema, max_tokens=_MAX_TOKENS)
        return written if isinstance(written, str) else written.text

    def _ask(self, sample: Sample, question: str, prompt: Prompt) -> ModelRequest:
        adapter = self._instructions.adapter
        return ModelRequest(f"{sample.key}/{question}/{adapter}", prompt, sample.pixels, sample.key, adapter)
