"""How a card's memory is used: weights, intermediate results, and what is left for the key-value cache.

The intermediate results follow what vLLM measures when it starts: a step of the largest size through the language
model, and as many vision tokens at once through the encoder.
"""

from dataclasses import dataclass

from service.tools.planning.models import ModelShape
from service.tools.planning.precisions import BF16_BYTES, weight_bytes
from service.tools.planning.throughput import STEP_TOKENS, images_a_step
from service.tools.planning.workload import QUESTION_TOKENS, TAGS_TOKENS, Candidate, Workload

GIB = 1024**3

# What vLLM may use, its default; the rest is for fragmentation and for what else runs on the card.
MEMORY_FRACTION = 0.9
# CUDA's context and libraries take about 1 GiB, compiled graphs about half of that.
OVERHEAD_BYTES = 1.5 * GIB
# Images that are judged side by side, most first: enough for a step and for the answers that are being written.
SEQUENCES = (256, 128, 64, 32, 16)
# Of the caption at worst, a token a byte; and of a written answer.
CAPTION_TOKENS, ANSWER_TOKENS = 1024, 256
# vLLM's limit on one request is never set lower: a policy may ask for 1,024 vision tokens. Longer ones are rounded up.
LEAST_LENGTH, LENGTH_STEP = 4096, 256

_FLOAT32_BYTES = 4
# The sampler keeps the logits, their logarithmic form, and one copy.
_LOGIT_COPIES = 3


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """One way to use a card; sizes in bytes."""

    step_tokens: int
    sequences: int
    max_model_len: int
    weights: float
    activations: float
    overhead: float
    kv_cache: float
    """What is left; negative if something is missing."""
    kv_tokens: int
    images: int
    """That fit into the cache side by side, beside the policy's text that they share."""


def plan_memory(candidate: Candidate, step_tokens: int) -> MemoryPlan | None:
    """Return the plan for steps of that size with the most images side by side; None if it does not fit."""
    plans = (_plan(candidate, step_tokens, count) for count in SEQUENCES if count >= images_a_step(step_tokens))
    return next((plan for plan in plans if plan.kv_tokens >= _least_tokens(candidate.work, plan)), None)


def missing_gib(candidate: Candidate) -> float:
    """Return what the card lacks for the smallest plan, in GiB."""
    plan = _plan(candidate, STEP_TOKENS[-1], SEQUENCES[-1])
    needed = _least_tokens(candidate.work, plan) * candidate.model.kv_bytes()
    return max(0.0, (needed - plan.kv_cache) / GIB)


def needed_gib(candidate: Candidate) -> float:
    """Return the memory, as programs see it, that a card needs for the smallest plan, in GiB."""
    plan = _plan(candidate, STEP_TOKENS[-1], SEQUENCES[-1])
    cache = _least_tokens(candidate.work, plan) * candidate.model.kv_bytes()
    return (plan.weights + plan.activations + plan.overhead + cache) / MEMORY_FRACTION / GIB


def _plan(candidate: Candidate, step_tokens: int, sequences: int) -> MemoryPlan:
    model, work = candidate.model, candidate.work
    weights = weight_bytes(model, candidate.precision)
    activations = _activation_bytes(model, step_tokens, sequences)
    kv_cache = candidate.gpu.usable_gib * GIB * MEMORY_FRACTION - weights - activations - OVERHEAD_BYTES
    kv_tokens = max(0, int(kv_cache / model.kv_bytes()))
    return MemoryPlan(
        step_tokens=step_tokens,
        sequences=sequences,
        max_model_len=_context_length(work),
        weights=weights,
        activations=activations,
        overhead=OVERHEAD_BYTES,
        kv_cache=kv_cache,
        kv_tokens=kv_tokens,
        images=max(0, kv_tokens - work.policy_tokens) // _image_tokens(work),
    )


def _least_tokens(work: Workload, plan: MemoryPlan) -> int:
    """Return the cache that is needed: for all images side by side, and for at least one of the greatest length."""
    return max(work.policy_tokens + plan.sequences * _image_tokens(work), plan.max_model_len)


def _image_tokens(work: Workload) -> int:
    """Return the tokens that an image keeps in the cache, with its longest answer."""
    return work.image_tokens + QUESTION_TOKENS + TAGS_TOKENS


def _context_length(work: Workload) -> int:
    longest = work.context_tokens + CAPTION_TOKENS + ANSWER_TOKENS
    return max(LEAST_LENGTH, -(-longest // LENGTH_STEP) * LENGTH_STEP)


def _activation_bytes(model: ModelShape, tokens: int, sequences: int) -> float:
    """Return the peak: the larger of encoder and language model, and what is kept beside both."""
    # The encoder's output, which carries the deepstack's with it, and the places that those are copied to.
    kept = tokens * model.hidden * (1 + 2 * model.vision.deepstack) * BF16_BYTES
    logits = sequences * model.vocabulary * _FLOAT32_BYTES * _LOGIT_COPIES
    return max(_encoder_bytes(model, tokens), _language_bytes(model, tokens)) + kept + logits


def _encoder_bytes(model: ModelShape, tokens: int) -> float:
    """Return the encoder's peak, in its feed-forward part: input, positions, residual, norm, and two wide vectors."""
    shape = model.vision
    patch = shape.patch_inputs + 3 * shape.hidden + 2 * shape.intermediate
    return tokens * shape.patches_a_token * patch * BF16_BYTES


def _language_bytes(model: ModelShape, tokens: int) -> float:
    """Return the language model's peak, in its feed-forward part: residual, norm, gate, up, and their product."""
    return tokens * (2 * model.hidden + 3 * model.intermediate) * BF16_BYTES
