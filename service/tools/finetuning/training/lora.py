"""The trained part of a model: low-rank products beside its linear layers, by PEFT."""

import json
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save

from service.tools.evaluation.report.whole_file import write_whole

LANGUAGE_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""Linear layers of the language part; no layer of the vision part has such a name."""

WEIGHTS_FILE = "adapter_model.safetensors"
CONFIG_FILE = "adapter_config.json"


def add_adapter(model: Any, *, rank: int, alpha: int, dropout: float, merger: bool, seed: int) -> Any:
    """Put products beside a model's layers and return PEFT's view of it; at first they change nothing.

    `merger` adds the layers that turn what the vision part sees into tokens.
    """
    torch.manual_seed(seed)
    targets = [*LANGUAGE_LAYERS, *(merger_layers(model) if merger else ())]
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def merger_layers(model: Any) -> tuple[str, ...]:
    """Return the names of the linear layers of the vision mergers."""
    mergers = (
        "merger",
        *(f"deepstack_merger_list.{at}" for at in range(len(model.model.visual.deepstack_merger_list))),
    )
    return tuple(f"{merger}.linear_fc{number}" for merger in mergers for number in (1, 2))


def trained_weights(model: Any) -> dict[str, Any]:
    """Return the trained tensors by name, as they are."""
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


def set_trained_weights(model: Any, weights: dict[str, Any]) -> None:
    """Set all trained tensors."""
    own = trained_weights(model)
    if own.keys() != weights.keys():
        raise ValueError("the weights are of another adapter")
    with torch.no_grad():
        for name, weight in own.items():
            weight.copy_(weights[name])


def write_adapter(adapted: Any, folder: Path, *, base: str) -> None:
    """Write the adapter as PEFT does, in the form that vLLM loads, with the base model's name; raises `OSError`."""
    config = adapted.peft_config["default"]
    weights = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    # vLLM computes products of adapters in the precision of its activations, which is bfloat16.
    narrow = {name: weight.detach().to("cpu", torch.bfloat16).contiguous() for name, weight in weights.items()}
    write_whole(folder / WEIGHTS_FILE, save(narrow, metadata={"format": "pt"}))
    own = {"base_model_name_or_path": base, "inference_mode": True, "target_modules": sorted(config.target_modules)}
    text = json.dumps({**config.to_dict(), **own}, indent=2, sort_keys=True, default=_plain)
    write_whole(folder / CONFIG_FILE, f"{text}\n".encode())


def _plain(value: object) -> object:
    """Return a value as JSON has it: PEFT's configuration has sets and enumerations."""
    return sorted(map(str, value)) if isinstance(value, set | frozenset) else str(getattr(value, "value", value))
