"""Rates that others published, held against what this plan calculates for the same work."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from service.tools.planning.gpus import find_gpu
from service.tools.planning.models import ModelShape, find_model
from service.tools.planning.precisions import PRECISIONS, Precision, PrecisionName
from service.tools.planning.roofline import image_time, written_token_s
from service.tools.planning.workload import Candidate, Workload

_HEADER = (
    "| Published | Setup | Images/s | Calculated | Ratio | What differs |",
    "|---|---|---:|---:|---:|---|",
)

# Eight of 128 experts of 768 compute a token: what counts for the arithmetic, not for the memory.
_QWEN3_VL_30B_A3B = replace(
    find_model("8B"),
    name="Qwen/Qwen3-VL-30B-A3B-Instruct",
    layers=48,
    hidden=2048,
    intermediate=8 * 768,
    kv_heads=4,
)


@dataclass(frozen=True, slots=True)
class PublishedRate:
    """A measurement of a vision-language model on a server, each image asked about once."""

    source: str
    engine: str
    gpu: str
    model: ModelShape
    precision: PrecisionName
    vision_tokens: int
    text_tokens: int
    output_tokens: int
    images_per_s: float
    remark: str
    """What the source leaves open, and what the plan does not know of."""
    cards: int = 1
    in_flight: int | None = None
    """Requests at a time; None: as many as the card takes."""

    @property
    def calculated_per_s(self) -> float:
        """By this plan's arithmetic; cards that share a model are taken for one that is so many times as fast."""
        work = Workload(0, self.vision_tokens, self.text_tokens, stage2_share=0.0)
        candidate = Candidate(find_gpu(self.gpu), self.model, _precision(self.precision), work)
        time, written_s = image_time(candidate), written_token_s(candidate)
        if time is None or written_s is None:
            return 0.0
        image_s = (time.stage1 + (self.output_tokens - 1) * written_s) / self.cards
        if self.in_flight is None:
            return 1 / image_s
        # Each holds its place for a step a token; no step is shorter than reading the weights.
        images = self.in_flight / self.output_tokens
        return images / max(time.weights / self.cards, images * image_s)

    @property
    def ratio(self) -> float:
        """Calculated against published: above 1 the plan promises more."""
        return self.calculated_per_s / self.images_per_s


_BY_BBUF = "SGLang, pull request 36411 (August 2026)"
_OPEN = "sizes of model and image are assumed; in bf16 68 are calculated"

PUBLISHED_RATES: Sequence[PublishedRate] = (
    PublishedRate(_BY_BBUF, "vLLM", "H100", find_model("8B"), "fp8-block", 256, 40, 107, 61.7, _OPEN),
    PublishedRate(_BY_BBUF, "SGLang", "H100", find_model("8B"), "fp8-block", 256, 40, 107, 68.6, _OPEN),
    PublishedRate(
        "SGLang, pull request 25986",
        "SGLang",
        "H20",
        find_model("8B"),
        "bf16",
        vision_tokens=196,
        text_tokens=45,
        output_tokens=64,
        images_per_s=12.7,
        remark="without CUDA graphs for the encoder",
        in_flight=16,
    ),
    PublishedRate(
        "vLLM, issue 24955",
        "vLLM",
        "L40S",
        _QWEN3_VL_30B_A3B,
        "bf16",
        vision_tokens=880,
        text_tokens=100,
        output_tokens=1,
        images_per_s=6.6,
        remark="a mixture of experts on four cards: what passes between cards, choosing experts, and images that one "
        "thread prepares are not in the arithmetic; how the 980 tokens divide is assumed",
        cards=4,
    ),
)


def published_markdown() -> str:
    """Return the comparison as a Markdown table."""
    return "".join(f"{line}\n" for line in (*_HEADER, *map(_row, PUBLISHED_RATES)))


def _row(each: PublishedRate) -> str:
    return f"| {' | '.join(_cells(each))} |"


def _cells(each: PublishedRate) -> Iterator[str]:
    yield each.source
    cards = f"{each.cards} × {each.gpu}" if each.cards > 1 else each.gpu
    at_a_time = f", {each.in_flight} at a time" if each.in_flight else ""
    yield (
        f"{each.engine}, {cards}, {each.model.name.removeprefix('Qwen/').removesuffix('-Instruct')} {each.precision}, "
        f"{each.vision_tokens} vision and {each.text_tokens} text tokens, {each.output_tokens} written{at_a_time}"
    )
    yield f"{each.images_per_s:g}"
    yield f"{each.calculated_per_s:.1f}"
    yield f"{each.ratio:.2f}"
    yield each.remark


def _precision(name: PrecisionName) -> Precision:
    return next(each for each in PRECISIONS if each.name == name)
