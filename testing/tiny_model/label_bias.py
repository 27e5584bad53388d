"""Print what the labels' measured prior changes: `python -m testing.tiny_model.label_bias`.

The tiny model knows its labels by heart, whatever the list says. `ListReader` makes of it a model that reads the list,
and that favours labels by known factors: what the tiny model sees is real, and the bias is not.
"""

import asyncio
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from statistics import fmean, pstdev
from typing import Any

import numpy as np

from service.core.pixels import RgbPixels
from service.inference.vision.label_prior import measured, none_found, questions
from service.inference.vision.labels import NONE, label_map
from service.inference.vision.prompt import prompter
from service.inference.vision.scores import LogPrior, without_prior
from service.inference.vision.token_model import GeneratedText, ModelFacts, ModelRequest, TokenModel
from testing.tiny_model.answers import categories
from testing.tiny_model.held_out import Asker, Judged, altered, samples
from testing.tiny_model.report import accuracy
from testing.tiny_model.running import runtime
from testing.tiny_model.shapes import INSTRUCTIONS
from testing.tiny_model.tiny import model_folder

_IMAGES = 600
_AT_A_TIME = 32

Favour = Callable[[ModelRequest], Mapping[str, float]]
"""By how much a model favours each label in a question: a summand of the log-probability; 0 for labels left out."""


class ListReader:
    """Answers what another model answers to the usual list, by what the labels of a request's list stand for."""

    def __init__(self, model: TokenModel, favour: Favour) -> None:
        self._model = model
        self._favour = favour
        usual = prompter(INSTRUCTIONS)
        self._usual = usual.system
        self._usual_label = {line: label for label, line in _lines(usual.system, usual.labels).items()}

    def is_reachable(self) -> bool:
        """Return whether the model is."""
        return self._model.is_reachable()

    async def start(self) -> ModelFacts:
        """Start the model."""
        return await self._model.start()

    async def prepare(
        self, adapter: str | None, words: Sequence[str], largest: ModelRequest | None = None
    ) -> Mapping[str, int]:
        """Prepare the model."""
        return await self._model.prepare(adapter, words, largest)

    async def read(self, ask: ModelRequest, words: Mapping[str, int]) -> Mapping[str, float]:
        """Read a label's log-probability off the one that usually stands for the same, and add what it is favoured by.

        The labels keep their mass.
        """
        asked = replace(ask, prompt=replace(ask.prompt, system=self._usual))
        seen = await self._model.read(asked, words)
        stands_for, favour = _lines(ask.prompt.system, words), self._favour(ask)
        log_probabilities = {
            label: seen[self._usual_label[stands_for[label]]] + favour.get(label, 0.0) for label in words
        }
        added = _log_sum(log_probabilities) - _log_sum(seen)
        return {label: value - added for label, value in log_probabilities.items()}

    async def write(self, ask: ModelRequest, json_schema: Mapping[str, Any], *, max_tokens: int) -> GeneratedText:
        """Write what the model writes."""
        return await self._model.write(ask, json_schema, max_tokens=max_tokens)

    async def stop(self) -> None:
        """Stop the model."""
        await self._model.stop()


@dataclass(frozen=True, slots=True)
class Figures:
    """How well labels are answered."""

    right: float
    """Share of images whose likeliest label is right."""
    none: float
    """Share of images that are answered with none."""
    spread: float
    """Standard deviation of the labels' recalls, over images with one category or none. PriDe's measure of bias."""
    distance: float
    """Mean share of the answer that lies on other labels than without a bias: half the sum of the differences."""


def figures(judged: Sequence[Judged], unbiased: Sequence[Judged]) -> Figures:
    """Return the figures of answers to the list, beside those of the same model without a bias."""
    said = [label_map(INSTRUCTIONS)[each.best] for each in judged]
    shown = [categories(each.sample.scene, INSTRUCTIONS) or (NONE,) for each in judged]
    recalls = [
        fmean(name == answer for answer, names in zip(said, shown, strict=True) if names == (name,))
        for name in label_map(INSTRUCTIONS).values()
    ]
    return Figures(
        right=accuracy(judged, INSTRUCTIONS),
        none=fmean(answer == NONE for answer in said),
        spread=pstdev(recalls),
        distance=fmean(_distance(*pair) for pair in zip(judged, unbiased, strict=True)),
    )


def _distance(one: Judged, other: Judged) -> float:
    shares = one.reading.shares
    return math.fsum(abs(shares[label] - other.reading.shares[label]) for label in shares) / 2


def noisy(pixels: RgbPixels) -> RgbPixels:
    """Add so much noise that the model is in doubt."""
    chance = np.random.default_rng(int(pixels.sum()))
    return np.clip(pixels + chance.normal(0, 150, pixels.shape), 0, 255).astype(np.uint8)


def constant(**factors: float) -> Favour:
    """Favour labels by the same factors in every question."""
    logs = {label: math.log(factor) for label, factor in factors.items()}
    return lambda _ask: logs


def varying(**factors: float) -> Favour:
    """Favour labels by factors that differ from image to image, by half of their logarithm as standard deviation."""

    def favour(ask: ModelRequest) -> Mapping[str, float]:
        chance = np.random.default_rng([*ask.image_key.encode()])
        return {label: math.log(factor) * chance.normal(1.0, 0.5) for label, factor in factors.items()}

    return favour


FAVOURS: Mapping[str, Favour] = {
    "A by 8": constant(A=8.0),
    "A by 1/8": constant(A=0.125),
    "A by 8, varying": varying(A=8.0),
    "A by 8, B by 3, G by 1/4": constant(A=8.0, B=3.0, G=0.25),
    "A by 100": constant(A=100.0),
}


async def main() -> None:
    """Ask the model as it is, and as one that reads the list, and print the figures."""
    model = runtime(model_folder())
    await model.start()
    drawn = samples(_IMAGES)
    shown = fmean(not categories(each.scene, INSTRUCTIONS) for each in drawn)
    _report(f"{_IMAGES} images, {shown:.3f} of them with no category")
    try:
        asked = {"as drawn": drawn, "noisy": altered(drawn, noisy)}
        unbiased = {name: await Asker(model, INSTRUCTIONS).judge(images) for name, images in asked.items()}
        await _evaluate("as it is", model, unbiased)
        for name, favour in FAVOURS.items():
            await _evaluate(f"reads the list, favours {name}", ListReader(model, favour), unbiased)
    finally:
        await model.stop()


async def _evaluate(title: str, model: TokenModel, unbiased: Mapping[str, Sequence[Judged]]) -> None:
    usual = prompter(INSTRUCTIONS)
    labels = await model.prepare(None, [*usual.labels])
    log_prior = await measured(model, usual, labels, at_a_time=_AT_A_TIME)
    found = none_found([await model.read(ask, labels) for ask in questions(usual)])
    _report(f"\n{title}: prior {log_prior}, none found in {found:.2f} of the questions")
    for name, reference in unbiased.items():
        judged = await Asker(model, INSTRUCTIONS).judge([each.sample for each in reference])
        before, after = figures(judged, reference), figures(_corrected(judged, log_prior), reference)
        _report(f"| {title} | {name} | {_row(before, after)} |")


def _row(before: Figures, after: Figures) -> str:
    pairs = zip(astuple(before), astuple(after), strict=True)
    return " | ".join(f"{first:.3f} → {second:.3f}" for first, second in pairs)


def _corrected(judged: Sequence[Judged], log_prior: LogPrior) -> list[Judged]:
    return [replace(each, reading=without_prior(each.reading, log_prior)) for each in judged]


def _lines(system: str, labels: Mapping[str, object]) -> Mapping[str, str]:
    """Return what each label stands for in a prompt's list."""
    lines = system.splitlines()[2 : 2 + len(labels)]
    return {label: content for label, _, content in (line.partition(": ") for line in lines)}


def _log_sum(log_probabilities: Mapping[str, float]) -> float:
    return math.log(math.fsum(math.exp(value) for value in log_probabilities.values()))


def _report(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
