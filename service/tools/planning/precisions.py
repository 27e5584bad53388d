"""The precisions that weights can have, and how fast a card computes with each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from service.tools.planning.gpus import Gpu
from service.tools.planning.models import ModelShape

PrecisionName = Literal["bf16", "fp8-block", "fp8-dynamic", "int8", "awq"]

BF16_BYTES = 2.0
# A scale of 32 bits for each block of 128 × 128.
FP8_BLOCK_BYTES = 1 + 4 / 128**2
# A scale of 16 bits for each row of thousands: nothing that counts.
BY_ROW_BYTES = 1.0
# 4 bits, and for each group of 128 a scale of 16 bits and a zero point of 4.
AWQ_BYTES = (4 + (16 + 4) / 128) / 8

# Compute capabilities from which vLLM 0.32 computes in FP8 itself, with kernels of CUTLASS: scales by block, by row.
# Below it unpacks the weights in Marlin and computes in BF16. tests/integration/engine/test_kernels.py asks vLLM.
FP8_BLOCK_CAPABILITY, FP8_DYNAMIC_CAPABILITY = 90, 89

# Shares of a card's dense peak that large batches reach; `service.tools.planning.evidence` holds what they rest on. A
# card that was measured has its own.
BF16_EFFICIENCY = 0.60
EIGHT_BIT_EFFICIENCY = 0.45
# Of the BF16 peak: large batches are computed in BF16, after unpacking the weights in every step.
WEIGHT_ONLY_EFFICIENCY = 0.50
# Of the BF16 peak: heads of 72 numbers and matrices of 1,152 fill a card badly. An assumption without a source.
VISION_EFFICIENCY = 0.40


@dataclass(frozen=True, slots=True)
class Precision:
    """Of the language model's matrices; everything else of the model stays in bf16."""

    name: PrecisionName
    linear_bytes: float
    """For each weight, scales included."""
    setting: Literal["bf16", "fp8", "int8", "awq"]
    """Of `engine.vllm.precision`."""
    from_hub: bool = False
    """Qwen publishes the weights, or vLLM makes them of the published ones while it loads; the others you make
    yourself, with images to calibrate on."""
    suffix: str = ""
    """Of the published model's name."""


PRECISIONS: Sequence[Precision] = (
    Precision("bf16", BF16_BYTES, "bf16", from_hub=True),
    Precision("fp8-block", FP8_BLOCK_BYTES, "fp8", from_hub=True, suffix="-FP8"),
    Precision("fp8-dynamic", BY_ROW_BYTES, "fp8", from_hub=True),
    Precision("int8", BY_ROW_BYTES, "int8"),
    Precision("awq", AWQ_BYTES, "awq"),
)


@dataclass(frozen=True, slots=True)
class Computation:
    """How a card computes with a precision."""

    rate: float
    """Operations a second that large batches reach."""
    how: str
    weights_only: bool = False
    """The weights are unpacked in every step, and computed with in BF16 (FP16 without it)."""


def computation(gpu: Gpu, precision: Precision) -> Computation | None:
    """Return how a card computes with a precision; None if vLLM cannot there."""
    match precision.name:
        case "bf16":
            share = gpu.measured.bf16 if gpu.measured else BF16_EFFICIENCY
            return _at(gpu.bf16_tflops, share, "in BF16") if gpu.has_bf16 else None
        case "int8":
            return None if gpu.int8_tops is None else _at(gpu.int8_tops, EIGHT_BIT_EFFICIENCY, "in INT8")
        case "fp8-block":
            return _in_fp8(gpu, FP8_BLOCK_CAPABILITY)
        case "fp8-dynamic":
            return _in_fp8(gpu, FP8_DYNAMIC_CAPABILITY)
        case "awq":
            return _weights_only(gpu, "weights only")


def _in_fp8(gpu: Gpu, least_capability: int) -> Computation:
    if gpu.fp8_tflops is None:
        return _weights_only(gpu, "weights only: no FP8 hardware")
    if gpu.capability < least_capability:
        return _weights_only(gpu, "weights only: no kernels for scales by block")
    share = gpu.measured.fp8 if gpu.measured and gpu.measured.fp8 else EIGHT_BIT_EFFICIENCY
    return _at(gpu.fp8_tflops, share, "in FP8")


def _weights_only(gpu: Gpu, how: str) -> Computation:
    return replace(_at(gpu.bf16_tflops, WEIGHT_ONLY_EFFICIENCY, how), weights_only=True)


def vision_rate(gpu: Gpu) -> float:
    """Return the operations a second that the vision encoder reaches; it stays in bf16 in all precisions."""
    return gpu.bf16_tflops * 1e12 * vision_share(gpu)


def vision_share(gpu: Gpu) -> float:
    """Return the share of the BF16 peak that the vision encoder reaches."""
    return gpu.measured.encoder if gpu.measured else VISION_EFFICIENCY


def linear_bytes(model: ModelShape, precision: Precision) -> float:
    """Return the bytes of the language model's layers: what each step reads."""
    return model.linear_weights * precision.linear_bytes


def weight_bytes(model: ModelShape, precision: Precision) -> float:
    """Return the bytes of all weights."""
    rest = model.parameters - model.linear_weights
    return linear_bytes(model, precision) + rest * BF16_BYTES


def _at(peak: float, efficiency: float, how: str) -> Computation:
    return Computation(peak * 1e12 * efficiency, f"{how}, {efficiency:.0%} of {peak:g} · 10¹²/s")
