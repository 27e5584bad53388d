"""Which layers vLLM quantises, and what it makes of a checkpoint's configuration, by its own code."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from service.inference.errors import EngineConfigurationError
from service.settings.vllm import VllmSettings
from testing.vllm import tiny_settings


def checkpoint(folder: Path, quantization: Mapping[str, object], **changes: object) -> VllmSettings:
    """Return settings of a model whose configuration says how it is quantised."""
    model = shutil.copytree(tiny_settings().model, folder / "model")
    path = model / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "quantization_config": quantization}))
    return tiny_settings(model=str(model), **changes)


def precision_of(settings: VllmSettings) -> str:
    """Return how vLLM would load the weights."""
    from service.inference.vllm.processes import loaded_precision, vllm_arguments  # noqa: PLC0415 - imports vLLM

    return loaded_precision(vllm_arguments(settings, None).create_model_config())


def is_quantised_at_the_start(layer: str) -> bool:
    """Return what vLLM's own reading of our arguments says of a layer."""
    from vllm.model_executor.layers.linear import LinearBase  # noqa: PLC0415 - its imports warn
    from vllm.model_executor.layers.quantization.online.base import OnlineQuantizationConfig  # noqa: PLC0415 - as above

    from service.inference.vllm.processes import vllm_arguments  # noqa: PLC0415 - imports vLLM

    config = OnlineQuantizationConfig(vllm_arguments(tiny_settings(precision="fp8"), None).quantization_config)
    return config.resolve_quant_method_cls(LinearBase, layer) is not None


@pytest.mark.parametrize(
    "layer", ["visual.blocks.0.attn.qkv", "visual.merger.linear_fc1", "visual.deepstack_merger_list.0.linear_fc2"]
)
def test_fp8_at_the_start_leaves_the_vision_encoder_as_it_is(layer: str) -> None:
    assert not is_quantised_at_the_start(layer)


@pytest.mark.parametrize("layer", ["self_attn.qkv_proj", "mlp.down_proj"])
def test_fp8_at_the_start_turns_the_language_model_into_it(layer: str) -> None:
    assert is_quantised_at_the_start(f"language_model.model.layers.0.{layer}")


def test_fp8_at_the_start_is_named_as_what_it_makes() -> None:
    assert precision_of(tiny_settings(precision="fp8")) == "fp8-dynamic"


AWQ_OF_LLM_COMPRESSOR = {
    "quant_method": "compressed-tensors",
    "format": "pack-quantized",
    "quantization_status": "compressed",
    "ignore": ["re:.*visual.*", "lm_head"],
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 128, "symmetric": False},
            "input_activations": None,
        }
    },
}


def test_awq_as_llm_compressor_writes_it_is_awq(tmp_path: Path) -> None:
    settings = checkpoint(tmp_path, AWQ_OF_LLM_COMPRESSOR, precision="awq")
    assert precision_of(settings) == "int4"


@pytest.mark.parametrize("precision", ["bf16", "fp8", "int8"])
def test_a_model_in_another_precision_than_the_setting_says_is_refused(tmp_path: Path, precision: str) -> None:
    settings = checkpoint(tmp_path, AWQ_OF_LLM_COMPRESSOR, precision=precision)
    with pytest.raises(EngineConfigurationError, match=rf"comes in int4: name a model that comes in {precision}"):
        precision_of(settings)
