"""Where a card's time goes for one image: the arithmetic of its tokens, and what is read from memory for them."""

from dataclasses import dataclass

from service.tools.planning.gpus import Gpu
from service.tools.planning.models import ModelShape
from service.tools.planning.precisions import BF16_BYTES, computation, linear_bytes, vision_rate
from service.tools.planning.workload import (
    FOLLOW_UPS,
    LATER_ROUNDS,
    QUESTION_TOKENS,
    REASON_TOKENS,
    TAGS_TOKENS,
    Candidate,
    Workload,
)

# Of the data sheet's memory bandwidth, that reading weights and caches reaches. An assumption without a source.
BANDWIDTH_EFFICIENCY = 0.70


@dataclass(frozen=True, slots=True)
class ImageTime:
    """Where a GPU's time goes for one image while it is kept busy; in seconds."""

    vision: float
    language: float
    """Stage 1: the image's and the question's tokens."""
    weights: float
    """Reading the weights, once a step, whatever it holds: no step is shorter."""
    follow_ups: float
    """On top, for an image that is asked about again: encoding it again, follow-up questions and a reason."""
    tagged: float
    """On top, for an image with tags, which are asked for beside the first question: it is encoded once for both."""
    first_pass: float = 0.0
    """Before, for an image with a first pass: fewer vision tokens and the same question."""

    @property
    def stage1(self) -> float:
        """One token."""
        return self.vision + self.language

    def average(self, work: Workload) -> float:
        """Of the images that come."""
        judged = work.first_share * self.first_pass + work.full_share * self.stage1
        return judged + work.stage2_share * self.follow_ups + work.tags_share * self.tagged


def image_time(candidate: Candidate) -> ImageTime | None:
    """Return the times of one image; None if vLLM cannot run that precision there."""
    how = computation(candidate.gpu, candidate.precision)
    if how is None:
        return None
    model, work = candidate.model, candidate.work
    vision = model.vision_operations(work.vision_tokens) / vision_rate(candidate.gpu)
    question = _read_tokens(model, how.rate, QUESTION_TOKENS, work.context_tokens)
    written = _written_token(candidate, how.rate)
    return ImageTime(
        vision=vision,
        language=_read_tokens(model, how.rate, work.image_tokens, work.policy_tokens),
        weights=_weights_reading(candidate),
        follow_ups=LATER_ROUNDS * vision + (FOLLOW_UPS + 1) * question + REASON_TOKENS * written,
        tagged=question + TAGS_TOKENS * written,
        first_pass=_first_pass(candidate, how.rate),
    )


def _first_pass(candidate: Candidate, rate: float) -> float:
    model, work = candidate.model, candidate.work
    if work.first_pass is None:
        return 0.0
    tokens = work.first_pass.vision_tokens
    vision = model.vision_operations(tokens) / vision_rate(candidate.gpu)
    return vision + _read_tokens(model, rate, tokens + work.text_tokens, work.policy_tokens)


def written_token_s(candidate: Candidate) -> float | None:
    """Return the seconds for one token of an answer; None if vLLM cannot run that precision there."""
    how = computation(candidate.gpu, candidate.precision)
    return None if how is None else _written_token(candidate, how.rate)


def _read_tokens(model: ModelShape, rate: float, tokens: int, before: int) -> float:
    """Return the seconds for that many tokens, with so many cached before them, and for one token of answer."""
    operations = tokens * model.token_operations(context=before + tokens / 2) + model.output_operations()
    return operations / rate


def _written_token(candidate: Candidate, rate: float) -> float:
    """Return the seconds for one more token of an answer.

    It is computed in the step that reads new images, so the weights are read anyway; its own context is read on top.
    """
    model = candidate.model
    context = candidate.work.context_tokens + QUESTION_TOKENS
    operations = model.token_operations(context=context) + model.output_operations()
    return operations / rate + _reading(candidate.gpu, context * model.kv_bytes())


def _weights_reading(candidate: Candidate) -> float:
    """Return the seconds for reading layers and output layer once, as every step does."""
    output = candidate.model.vocabulary * candidate.model.hidden * BF16_BYTES
    return _reading(candidate.gpu, linear_bytes(candidate.model, candidate.precision) + output)


def _reading(gpu: Gpu, size: float) -> float:
    return size / (gpu.bandwidth_gb_s * 1e9 * bandwidth_share(gpu))


def bandwidth_share(gpu: Gpu) -> float:
    """Return the share of the data sheet's memory bandwidth that reading weights and caches reaches."""
    return gpu.measured.bandwidth if gpu.measured else BANDWIDTH_EFFICIENCY
