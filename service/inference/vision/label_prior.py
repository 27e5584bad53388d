"""Measures how much a model favours each label, whatever it stands for, before the first image of a policy is judged.

The first question is asked about pictures that show nothing, once for each rotation of the categories behind the
labels. `service.inference.vision.scores` says how a prior follows from the answers.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence

import numpy as np
import structlog

from service.core.pixels import RgbPixels
from service.inference.errors import EngineConfigurationError
from service.inference.fail_together import fail_together
from service.inference.vision.patch import PATCH
from service.inference.vision.prompt import Prompter
from service.inference.vision.scores import LogPrior, measured_prior
from service.inference.vision.token_model import ModelRequest, TokenModel

log = structlog.get_logger(__name__)

MAX_LOG_PRIOR = 2.3
"""A factor of 10 each way. A model that favours a label more may answer by heart, and not by the list."""
TIME_LIMIT_S = 120.0
"""Of one policy's questions. Those of the bundled policy are calculated to take 15 s on an RTX 3090."""

# Every rotation is asked about, or contents would not cancel out: pictures are left out first.
_QUESTIONS = 40
_SETTING = "engine.judging.label_prior"
_SIDE = 8 * PATCH


async def measured(
    model: TokenModel,
    prompter: Prompter,
    labels: Mapping[str, int],
    *,
    at_a_time: int,
    time_limit_s: float = TIME_LIMIT_S,
) -> LogPrior:
    """Return the labels' prior in steps of 0.1, which is finer than what other kernels change in it.

    Raises `EngineConfigurationError` if the model does not show every label's probability, or takes too long.
    """
    asks = questions(prompter)
    try:
        async with asyncio.timeout(time_limit_s):
            answers = await _answers(model, asks, labels, at_a_time=at_a_time)
    except TimeoutError:
        detail = f"{len(asks)} questions for the labels' prior took over {time_limit_s:g} s: set it to uniform"
        raise EngineConfigurationError(setting=_SETTING, detail=detail) from None
    _check_all_known(answers, labels)
    raw = measured_prior(answers)
    _report(prompter, answers, raw)
    return {label: _rounded(max(-MAX_LOG_PRIOR, min(MAX_LOG_PRIOR, value))) for label, value in raw.items()}


def questions(prompter: Prompter) -> Sequence[ModelRequest]:
    """Return the first question about each picture with each rotation of the categories."""
    count = len(prompter.labels)
    return [
        ModelRequest(
            request_id=f"trial/prior/{name}/{places}",
            prompt=prompter.rotated_which(places),
            pixels=pixels,
            image_key=f"modstream-{name}",
            adapter=prompter.instructions.adapter,
        )
        for name, pixels in [*_pictures().items()][: max(1, _QUESTIONS // count)]
        for places in range(count)
    ]


async def _answers(
    model: TokenModel, asks: Sequence[ModelRequest], labels: Mapping[str, int], *, at_a_time: int
) -> Sequence[Mapping[str, float]]:
    places = asyncio.Semaphore(at_a_time)

    async def answer(ask: ModelRequest) -> Mapping[str, float]:
        async with places:
            return await model.read(ask, labels)

    async with fail_together() as group:
        tasks = [group.create_task(answer(ask), name=ask.request_id) for ask in asks]
    return [task.result() for task in tasks]


def _check_all_known(answers: Sequence[Mapping[str, float]], labels: Mapping[str, int]) -> None:
    unknown = [label for label in labels if not all(math.isfinite(answer.get(label, math.nan)) for answer in answers)]
    if unknown:
        detail = (
            f"measured needs every label's probability, and the model does not show that of {', '.join(unknown)}: set "
            "it to uniform, or use servers whose label_source is exact"
        )
        raise EngineConfigurationError(setting=_SETTING, detail=detail)


def _report(prompter: Prompter, answers: Sequence[Mapping[str, float]], raw: LogPrior) -> None:
    adapter = prompter.instructions.adapter
    shown = {label: _rounded(value) for label, value in raw.items()}
    found = round(none_found(answers), 2)
    log.info("label_prior.measured", prior=shown, questions=len(answers), none_found=found, adapter=adapter)
    if extreme := [label for label, value in raw.items() if abs(value) > MAX_LOG_PRIOR]:
        detail = (
            "the model favours or avoids these labels by more than a factor of 10, and only that much is taken out; it "
            "may know labels by heart: compare verdicts with those under uniform"
        )
        log.warning("label_prior.clipped", labels=extreme, adapter=adapter, setting=_SETTING, detail=detail)


def _rounded(log_prior: float) -> float:
    # Zero is added so that none of it is negative.
    return round(log_prior, 1) + 0.0


def none_found(answers: Sequence[Mapping[str, float]]) -> float:
    """Return the share of answers to `questions` that name none of the categories, wherever that stands in the list.

    Little of it means that the model knows labels by heart and does not read what they stand for.
    """
    found = 0
    for number, answer in enumerate(answers):
        labels = [*answer]
        # The first line has moved up past the beginning of the list, to as far before its end.
        found += max(labels, key=lambda label: answer[label]) == labels[-number % len(labels)]
    return found / len(answers)


def _pictures() -> Mapping[str, RgbPixels]:
    """Return pictures that show nothing, by name."""
    shape = (_SIDE, _SIDE, 3)
    gradient = np.linspace(0, 255, _SIDE).astype(np.uint8)
    return {
        "grey": np.full(shape, 128, np.uint8),
        "noise": np.random.default_rng(0).integers(0, 256, shape, np.uint8),
        "gradient": np.ascontiguousarray(np.broadcast_to(gradient[:, None, None], shape)),
    }
