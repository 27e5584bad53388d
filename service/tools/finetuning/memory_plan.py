"""Pure: whether an adapter of a model can be trained on a card, with which settings, and how long it takes.

Everything is calculated from the model's shape and the card's data sheet; nothing was measured on a card.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from service.tools.finetuning.training_options import Quantize
from service.tools.planning.gpus import Gpu, find_gpu
from service.tools.planning.models import ModelShape, find_model

CARDS = ("T4", "L4", "RTX 3090", "RTX 4090", "L40S", "A100 80GB", "H100")
"""The cards of the table."""
MODELS = ("2B", "4B", "8B")

_GIB = 2**30
_BF16_BYTES = 2
# QLoRA (arXiv 2305.14314): 4 bits a weight, and 0.127 bits for constants that are quantised themselves.
_NF4_BYTES = (4 + 0.127) / 8
# Float32 weights, gradients, Adam's two moments, and the best weights so far.
_TRAINED_BYTES = 4 + 4 + 8 + 4
# Bytes that one layer keeps for its backward pass, by a token and the width of what is kept. In bfloat16 and, where
# norms and products compute so, in float32: see the comment of each term in `_layer_bytes`.
_HIDDEN, _ATTENTION, _KEY_VALUE, _INTERMEDIATE = 40, 14, 12, 12
# Gradients live beside what is kept, one layer at a time.
_WITH_GRADIENTS = 1.5
# A row of the output layer: bfloat16 logits, and float32 logits, log-probabilities and their gradient.
_LOGIT_BYTES = 2 + 4 + 4 + 4
ROWS_A_CHUNK = 256
"""Answers that go through the output layer at a time."""
# CUDA's context, cuBLAS's workspaces and what the allocator cannot use.
_FIXED_GIB = 1.5
_FRAGMENTATION = 1.08
_USED_SHARE = 0.9
_PASSES: Sequence[int] = (16_384, 8_192, 4_096, 2_048)
# A forward pass, the same again for checkpointing, and a backward pass to the activations; frozen weights get none.
_FORWARDS = 3
# Assumptions. Of the card's dense bf16 rate; published shares of LoRA training lie between 0.3 and 0.5.
_BF16_SHARE = 0.35
_NF4_SHARE = 0.25
# Without bf16 in its tensor cores torch computes it with float32's units: T4's data sheet has 8.1 TFLOPS.
_WITHOUT_BF16_TFLOPS = 8.1


@dataclass(frozen=True, slots=True)
class TrainingWork:
    """What is trained on."""

    images: int = 5_000
    """Of the split for training."""
    epochs: int = 3
    policy_tokens: int = 1_100
    vision_tokens: int = 256
    question_tokens: int = 120
    """Of all questions about an image."""

    @property
    def image_tokens(self) -> int:
        """Of an image with its questions."""
        return self.vision_tokens + self.question_tokens


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """A way to train a model on a card; memory in GiB."""

    gpu: Gpu
    model: ModelShape
    quantize: Quantize
    rank: int
    tokens_a_pass: int
    weights_gib: float
    """Frozen weights."""
    adapter_gib: float
    """Trained weights, gradients and the optimizer's state."""
    activations_gib: float
    total_gib: float
    """With CUDA's own memory and fragmentation."""
    hours: float

    @property
    def fits(self) -> bool:
        """Whether the card has the memory, and a tenth of it to spare: the plan was compared with no card."""
        return self.total_gib <= self.gpu.usable_gib * _USED_SHARE

    @property
    def options(self) -> str:
        """The options of `modstream finetune train` that set it."""
        return f"--quantize {self.quantize} --rank {self.rank} --tokens-a-pass {self.tokens_a_pass}"


def plan_training(gpu: Gpu, model: ModelShape, work: TrainingWork, *, rank: int = 16) -> TrainingPlan | None:
    """Return the plan with the most exact weights that fits, and the largest passes; None if nothing fits."""
    for quantize in ("none", "nf4"):
        for tokens in _PASSES:
            found = _plan(gpu, model, work, quantize=quantize, rank=rank, tokens=tokens)
            if found.fits and tokens >= work.policy_tokens + work.image_tokens:
                return found
    return None


def training_plans(
    work: TrainingWork, *, cards: Sequence[str] = CARDS, models: Sequence[str] = MODELS, rank: int = 16
) -> Sequence[tuple[Gpu, ModelShape, TrainingPlan | None]]:
    """Return the plan of each model on each card."""
    pairs = [(find_gpu(card), find_model(model)) for card in cards for model in models]
    return [(gpu, model, plan_training(gpu, model, work, rank=rank)) for gpu, model in pairs]


def adapter_parameters(model: ModelShape, rank: int) -> int:
    """Return the trained parameters of an adapter of the language layers."""
    attention, keys = model.heads * model.head_size, model.kv_heads * model.head_size
    sides = 2 * (model.hidden + attention) + 2 * (model.hidden + keys) + 3 * (model.hidden + model.intermediate)
    return model.layers * rank * sides


def _plan(
    gpu: Gpu, model: ModelShape, work: TrainingWork, *, quantize: Quantize, rank: int, tokens: int
) -> TrainingPlan:
    linear_bytes = _NF4_BYTES if quantize == "nf4" else _BF16_BYTES
    weights = model.linear_weights * linear_bytes + _BF16_BYTES * (model.vocabulary_weights + model.vision_weights)
    adapter = adapter_parameters(model, rank) * _TRAINED_BYTES
    activations = _activation_bytes(model, tokens)
    if quantize == "nf4":
        # One weight matrix at a time is written out in bfloat16.
        activations += _BF16_BYTES * model.hidden * model.intermediate
    total = (weights + adapter + activations) * _FRAGMENTATION / _GIB + _FIXED_GIB
    return TrainingPlan(
        gpu,
        model,
        quantize,
        rank,
        tokens,
        weights_gib=weights / _GIB,
        adapter_gib=adapter / _GIB,
        activations_gib=activations / _GIB,
        total_gib=total,
        hours=_hours(gpu, model, work, quantize=quantize, tokens=tokens),
    )


def _activation_bytes(model: ModelShape, tokens: int) -> float:
    """Return the bytes of one pass with checkpointing: the input of every layer, and all of one layer."""
    inputs = model.layers * model.hidden * _BF16_BYTES * tokens
    mask = tokens**2 * (1 + _BF16_BYTES)
    logits = ROWS_A_CHUNK * model.vocabulary * _LOGIT_BYTES
    # The vision part keeps nothing, and needs two widths of its feed-forward layer for a moment.
    vision = tokens * model.vision.patches_a_token * model.vision.intermediate * 2 * _BF16_BYTES
    return inputs + mask + max(_layer_bytes(model) * tokens * _WITH_GRADIENTS, logits, vision)


def _layer_bytes(model: ModelShape) -> float:
    """Return what a layer with products keeps for its backward pass, for one token.

    Of the hidden width: two norms (input in bfloat16, and in float32 what they compute with), and the float32 inputs of
    five products. Of attention's width: queries before and after norm and rotation, the output, and the input of a
    product. Of the keys' and values' width: the same. Of the feed-forward width: four results in bfloat16, and the
    input of a product.
    """
    attention, keys = model.heads * model.head_size, model.kv_heads * model.head_size
    widths = (
        (_HIDDEN, model.hidden),
        (_ATTENTION, attention),
        (_KEY_VALUE, keys),
        (_INTERMEDIATE, model.intermediate),
    )
    return float(sum(factor * width for factor, width in widths))


def _hours(gpu: Gpu, model: ModelShape, work: TrainingWork, *, quantize: Quantize, tokens: int) -> float:
    images_a_pass = max(1, (tokens - work.policy_tokens) // work.image_tokens)
    tokens_an_image = work.image_tokens + work.policy_tokens / images_a_pass
    context = work.policy_tokens + work.image_tokens / 2
    operations = _FORWARDS * tokens_an_image * model.token_operations(context=context)
    operations += model.vision_operations(work.vision_tokens)
    rate = gpu.bf16_tflops if gpu.has_bf16 else _WITHOUT_BF16_TFLOPS
    share = _NF4_SHARE if quantize == "nf4" else _BF16_SHARE
    return work.images * work.epochs * operations / (rate * 1e12 * share) / 3600
