"""A LoRA adapter for the tiny model, made without a library for it: low-rank products beside the language part."""

import json
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import Qwen3VLForConditionalGeneration

RANK = 8
ALPHA = 16
# vLLM takes adapters of the language part alone by default.
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class LowRank(torch.nn.Module):  # type: ignore[misc]  # torch is read as untyped
    """A frozen linear layer with a trained product of two thin matrices beside it; at first the product is zero."""

    def __init__(self, frozen: torch.nn.Linear) -> None:
        super().__init__()
        self.frozen = frozen
        self.lora_a = torch.nn.Parameter(torch.randn(RANK, frozen.in_features) / frozen.in_features**0.5)
        self.lora_b = torch.nn.Parameter(torch.zeros(frozen.out_features, RANK))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return the layer's output with the product's added."""
        return self.frozen(values) + (values @ self.lora_a.T @ self.lora_b.T) * (ALPHA / RANK)


def add_low_rank(model: Qwen3VLForConditionalGeneration, *, seed: int) -> None:
    """Freeze a model and put a product beside each linear layer of its language part."""
    torch.manual_seed(seed)
    model.requires_grad_(requires_grad=False)
    for layer in model.model.language_model.layers:
        for part in (layer.self_attn, layer.mlp):
            for name, frozen in list(part.named_children()):
                if name in TARGETS:
                    setattr(part, name, LowRank(frozen))


def save_adapter(model: Qwen3VLForConditionalGeneration, folder: Path) -> None:
    """Write what PEFT would write."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(_weights(model)), folder / "adapter_model.safetensors", metadata={"format": "pt"})
    text = json.dumps(_configuration(), indent=2)
    (folder / "adapter_config.json").write_text(f"{text}\n")


def _weights(model: Qwen3VLForConditionalGeneration) -> Iterator[tuple[str, torch.Tensor]]:
    for name, module in model.named_modules():
        if isinstance(module, LowRank):
            for matrix, values in (("A", module.lora_a), ("B", module.lora_b)):
                yield f"base_model.model.{name}.lora_{matrix}.weight", values.detach().to(torch.bfloat16).contiguous()


def _configuration() -> dict[str, object]:
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "qwen3-vl-tiny",
        "inference_mode": True,
        "r": RANK,
        "lora_alpha": ALPHA,
        "lora_dropout": 0.0,
        "target_modules": list(TARGETS),
        "bias": "none",
        "fan_in_fan_out": False,
        "use_dora": False,
        "use_rslora": False,
        "modules_to_save": None,
    }
