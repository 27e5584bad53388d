"""What a card reaches of its data sheet with Qwen3-VL's arithmetic: the shares that `modstream engine plan` assumes."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from benchmarks.gpu.layers import Layers, encoder, language
from service.tools.planning.gpus import Gpu
from service.tools.planning.models import ModelShape, VisionShape, find_model
from service.tools.planning.precisions import BF16_BYTES
from service.tools.planning.workload import TYPICAL, Workload

# Of 36, with weights of their own: more than any card's cache holds, and 8 GB of memory hold them with all the rest.
_LAYERS = 12
_WARM_UPS, _RUNS = 3, 7
# Of one image and more, up to a step of 16,384 tokens; what does not fit is left out.
_IMAGES = (3, 6, 13, 27, 51)
_SEQUENCES = 64

TINY = ModelShape(
    "tiny",
    layers=2,
    hidden=256,
    intermediate=512,
    heads=4,
    tied=False,
    vision=VisionShape(layers=2, hidden=144, intermediate=288),
    kv_heads=2,
    head_size=64,
    vocabulary=1000,
)
"""For a rehearsal on a CPU."""
TINY_WORK = Workload(policy_tokens=64, vision_tokens=16, text_tokens=8)


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement."""

    what: str
    """bf16, fp8 (with scales by row), encoder, bandwidth: a field of `MeasuredShares`."""
    images: int
    seconds: float
    share: float
    """Of the card's peak, or of its bandwidth."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A card and what it works on."""

    gpu: Gpu
    device: str
    model: ModelShape
    work: Workload
    images: Sequence[int]


def subject(gpu: Gpu) -> Subject:
    """Return a real card with the 8B model's layers and the usual image."""
    return Subject(gpu, "cuda", replace(find_model("8B"), layers=_LAYERS), TYPICAL, _IMAGES)


def rehearsal(gpu: Gpu) -> Subject:
    """Return the same for a CPU, with a tiny model; its shares mean nothing."""
    return Subject(gpu, "cpu", TINY, TINY_WORK, images=(1, 2))


def measurements(of: Subject) -> Iterator[Measured]:
    """Measure the encoder, the language model in each precision, and written tokens; yield what fits the memory."""
    for images in of.images:
        yield from _fitting(partial(_encoder, of, images))
    for what, peak in (("bf16", of.gpu.bf16_tflops), ("fp8", of.gpu.fp8_tflops)):
        if peak is not None:
            for images in of.images:
                yield from _fitting(partial(_language, of, images, what, peak))
    yield from _fitting(partial(_written, of))


def summary(found: Sequence[Measured]) -> dict[str, float]:
    """Return each share: the median over the sizes of a step."""
    names = dict.fromkeys(each.what for each in found)
    return {name: round(statistics.median(each.share for each in found if each.what == name), 3) for name in names}


def _encoder(of: Subject, images: int) -> Measured:
    seconds = _clock(encoder(Layers(of.model, of.device), images, of.work.vision_tokens), of.device)
    operations = images * of.model.vision_operations(of.work.vision_tokens)
    return Measured("encoder", images, seconds, operations / seconds / (of.gpu.bf16_tflops * 1e12))


def _language(of: Subject, images: int, what: str, peak: float) -> Measured:
    model, work, tokens = of.model, of.work, of.work.image_tokens
    layers = Layers(model, of.device, eight_bit=what == "fp8")
    seconds = _clock(language(layers, images, tokens, work.policy_tokens), of.device)
    context = work.policy_tokens + tokens / 2
    operations = images * (tokens * model.token_operations(context=context) + model.output_operations())
    return Measured(what, images, seconds, operations / seconds / (peak * 1e12))


def _written(of: Subject) -> Measured:
    """Measure a step that writes a token of some answers: it reads all weights, and the sequences' caches."""
    model, before = of.model, of.work.context_tokens
    sequences = _SEQUENCES if of.device == "cuda" else 2
    seconds = _clock(language(Layers(model, of.device), sequences, 1, before), of.device)
    weights = (model.linear_weights + model.vocabulary * model.hidden) * BF16_BYTES
    size = weights + sequences * before * model.kv_bytes()
    return Measured("bandwidth", sequences, seconds, size / seconds / (of.gpu.bandwidth_gb_s * 1e9))


def _fitting(measure: Callable[[], Measured]) -> Iterator[Measured]:
    try:
        with torch.inference_mode():
            yield measure()
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()


def _clock(work: Callable[[], Any], device: str) -> float:
    """Return the median seconds of some runs."""
    for _ in range(_WARM_UPS):
        work()
    return statistics.median(_once(work, device) for _ in range(_RUNS))


def _once(work: Callable[[], Any], device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
