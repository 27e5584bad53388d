"""What vLLM calls in its own worker processes."""

from collections.abc import Iterator
from enum import Enum
from typing import Any

import vllm
from vllm.model_executor.layers.linear import LinearBase
from vllm.model_executor.layers.logits_processor import LogitsProcessor
from vllm.platforms import current_platform

_UNQUANTISED = "UnquantizedLinearMethod"


class LoadedParts:
    """A base that vLLM adds to its worker class, by its argument `worker_extension_cls`."""

    def loaded_parts(self: Any) -> list[str]:
        """Return vLLM's release, the card, the kernels of the linear layers, the kinds of attention, the type of the
        head's results and the generation of vLLM's model runner, as vLLM names them."""
        layers = list(self.get_model().modules())
        runner = "V2" if self.use_v2_model_runner else "V1"
        return [
            f"vllm {vllm.__version__}",
            current_platform.get_device_name(),
            *_kernels(layers),
            *sorted({_attention(layer.attn_backend) for layer in layers if hasattr(layer, "attn_backend")}),
            *sorted({f"{_type_name(layer)} head" for layer in layers if isinstance(layer, LogitsProcessor)}),
            f"{runner} runner",
        ]


def _kernels(layers: list[Any]) -> list[str]:
    """Return the names of kernels. Layers that are not quantised count if there are no others."""
    found = {type(_kernel(layer)).__name__ for layer in layers if isinstance(layer, LinearBase)}
    return sorted(found - {_UNQUANTISED} or found)


def _kernel(layer: Any) -> Any:
    """Return what computes a layer: a kernel that was chosen for the card, or else the quantisation's only way."""
    method = getattr(layer, "scheme", None) or layer.quant_method
    return next(_chosen(method), method)


def _chosen(method: Any) -> Iterator[Any]:
    """Yield the kernel under the names that vLLM's quantisations have for it."""
    return (getattr(method, name) for name in ("fp8_linear", "kernel") if getattr(method, name, None) is not None)


def _attention(backend: Any) -> str:
    """Return the name of a kind of attention: vLLM has a class for the language model's, an enum for the encoder's."""
    return str(backend.name if isinstance(backend, Enum) else backend.get_name())


def _type_name(layer: Any) -> str:
    return str(layer.head_dtype).removeprefix("torch.")
