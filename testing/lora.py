"""Random LoRA adapters: they change a model's answers in an unpredictable way."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

_STRENGTH = 0.03


def write_random_adapter(folder: Path, *, model: Path, rank: int, seed: int = 0) -> Path:
    """Write an adapter of the model's language part, in PEFT's form."""
    folder.mkdir(parents=True)
    text = json.loads((model / "config.json").read_text(encoding="utf-8"))["text_config"]
    save_file(dict(_weights(text, rank, np.random.default_rng(seed))), folder / "adapter_model.safetensors")
    configuration = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": 4 * rank,
        "target_modules": ["q_proj", "v_proj"],
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(configuration), encoding="utf-8")
    return folder


def _weights(text: dict[str, int], rank: int, chance: np.random.Generator) -> Iterator[tuple[str, NDArray[np.float32]]]:
    hidden = text["hidden_size"]
    outputs = {"q_proj": text["num_attention_heads"], "v_proj": text["num_key_value_heads"]}
    for layer in range(text["num_hidden_layers"]):
        for name, heads in outputs.items():
            path = f"base_model.model.model.language_model.layers.{layer}.self_attn.{name}"
            yield f"{path}.lora_A.weight", chance.normal(size=(rank, hidden)).astype(np.float32)
            # As large as what the model itself computes: much more would answer by its rounding errors.
            thin = _STRENGTH * chance.normal(size=(heads * text["head_dim"], rank))
            yield f"{path}.lora_B.weight", thin.astype(np.float32)
