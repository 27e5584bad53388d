"""Qwen3-VL's layers with random weights, in PyTorch alone: products of matrices, and attention."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn import functional
from torch.nn.attention.bias import causal_lower_right

from service.tools.planning.models import ModelShape

Tensor = Any
Linear = Callable[[Tensor], Tensor]

_FP8 = torch.float8_e4m3fn
_FP8_MAX = torch.finfo(_FP8).max
# Trained weights are about so large; results stay finite through all layers.
_DEVIATION = 0.02


@dataclass(frozen=True, slots=True)
class Layers:
    """A model's layers on a device; `eight_bit` computes the language model's in FP8 with scales by row."""

    model: ModelShape
    device: str
    eight_bit: bool = False

    def random(self, *shape: int) -> Tensor:
        """Return a tensor of bf16."""
        return (torch.randn(*shape, device=self.device) * _DEVIATION).to(torch.bfloat16)

    def linear(self, outputs: int, inputs: int) -> Linear:
        """Return a product with a matrix."""
        weight = self.random(outputs, inputs)
        return (
            partial(_product_in_fp8, *_by_row(weight)) if self.eight_bit else partial(functional.linear, weight=weight)
        )


def _product_in_fp8(weight: Tensor, scale: Tensor, x: Tensor) -> Tensor:
    x8, x_scale = _by_row(x)
    return torch._scaled_mm(
        x8, weight.t(), scale_a=x_scale, scale_b=scale.t(), out_dtype=torch.bfloat16, use_fast_accum=True
    )


def _by_row(x: Tensor) -> tuple[Tensor, Tensor]:
    scale = (x.abs().amax(-1, keepdim=True).float() / _FP8_MAX).clamp(min=1e-12)
    return (x / scale).to(_FP8), scale


def encoder(layers: Layers, images: int, vision_tokens: int) -> Callable[[], Tensor]:
    """Return work that takes so many images through the vision encoder."""
    model, vision = layers.model, layers.model.vision
    patches, heads = vision_tokens * vision.patches_a_token, vision.hidden // _head_size(vision.hidden)
    pixels, embed = (
        layers.random(images * patches, vision.patch_inputs),
        layers.random(vision.hidden, vision.patch_inputs),
    )
    blocks = [_encoder_layer(layers) for _ in range(vision.layers)]
    merged = vision.patches_a_token * vision.hidden
    mergers = [
        (layers.random(merged, merged), layers.random(model.hidden, merged)) for _ in range(1 + vision.deepstack)
    ]

    def work() -> Tensor:
        x = functional.linear(pixels, embed)
        for qkv, out, up, down in blocks:
            parts = functional.linear(_normed(x), qkv).view(images, patches, 3, heads, -1).permute(2, 0, 3, 1, 4)
            seen = functional.scaled_dot_product_attention(*parts).transpose(1, 2).reshape(images * patches, -1)
            x = x + functional.linear(seen, out)
            x = x + functional.linear(functional.gelu(functional.linear(_normed(x), up), approximate="tanh"), down)
        flat = x.view(-1, merged)
        return [functional.linear(functional.gelu(functional.linear(flat, first)), last) for first, last in mergers]

    return work


def _encoder_layer(layers: Layers) -> Sequence[Tensor]:
    vision = layers.model.vision
    wide, narrow = vision.intermediate, vision.hidden
    return [layers.random(*shape) for shape in ((3 * narrow, narrow), (narrow, narrow), (wide, narrow), (narrow, wide))]


def _head_size(hidden: int) -> int:
    """Return the encoder's: 72 for 1,152 numbers, 64 for 1,024."""
    return 72 if hidden % 72 == 0 else 64


def language(layers: Layers, sequences: int, tokens: int, before: int) -> Callable[[], Tensor]:
    """Return work that takes new tokens of some sequences through the language model, behind cached ones."""
    model, size = layers.model, layers.model.head_size
    wide, narrow = (model.heads + 2 * model.kv_heads) * size, model.heads * size
    blocks = [
        (
            layers.linear(wide, model.hidden),
            layers.linear(model.hidden, narrow),
            layers.linear(2 * model.intermediate, model.hidden),
            layers.linear(model.hidden, model.intermediate),
        )
        for _ in range(model.layers)
    ]
    head = layers.random(model.vocabulary, model.hidden)
    new = layers.random(sequences * tokens, model.hidden)
    cached = [layers.random(sequences, model.kv_heads, before, size) for _ in range(2)]
    mask = causal_lower_right(tokens, before + tokens) if tokens > 1 else None
    groups = model.heads // model.kv_heads

    def work() -> Tensor:
        x = new
        for qkv, out, gate_up, down in blocks:
            parts = qkv(_normed(x)).split((narrow, model.kv_heads * size, model.kv_heads * size), -1)
            query, *rest = (part.view(sequences, tokens, -1, size).transpose(1, 2) for part in parts)
            pairs = zip(cached, rest, strict=True)
            keys, values = (torch.cat(pair, 2).repeat_interleave(groups, 1) for pair in pairs)
            seen = functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
            x = x + out(seen.transpose(1, 2).reshape(sequences * tokens, -1))
            gate, up = gate_up(_normed(x)).chunk(2, -1)
            x = x + down(functional.silu(gate) * up)
        return functional.linear(_normed(x).view(sequences, tokens, -1)[:, -1], head)

    return work


def _normed(x: Tensor) -> Tensor:
    return functional.rms_norm(x, (x.shape[-1],))
