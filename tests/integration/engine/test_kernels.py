"""Which kernels vLLM itself chooses for a card: what `service.tools.planning.precisions` calculates with.

No card is needed: vLLM's platform for CUDA is made to say that it runs on one, and vLLM chooses.
"""

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from service.inference.vllm.environment import OWN_KERNELS
from service.tools.planning.gpus import GPUS, Gpu
from service.tools.planning.precisions import PRECISIONS, PrecisionName, computation

CARDS = pytest.mark.parametrize("gpu", GPUS, ids=lambda gpu: gpu.name)
# Of a layer of the 8B model: rows and columns.
SHAPE = (4096, 12288)


@pytest.fixture
def on_card(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let vLLM's platform be CUDA's, with the capability of a card."""
    # The extension of the GPU build, which that platform imports and no kernel's choice calls.
    monkeypatch.setitem(sys.modules, "vllm._C_stable_libtorch", ModuleType("vllm._C_stable_libtorch"))
    from vllm import _custom_ops  # noqa: PLC0415 - importing vLLM takes seconds
    from vllm.model_executor.kernels.linear.scaled_mm import cutlass  # noqa: PLC0415 - as above
    from vllm.platforms import current_platform  # noqa: PLC0415 - as above
    from vllm.platforms.cuda import CudaPlatformBase  # noqa: PLC0415 - as above
    from vllm.platforms.interface import DeviceCapability  # noqa: PLC0415 - as above

    class Card(CudaPlatformBase):  # type: ignore[misc]  # vLLM's platforms have no types here
        @classmethod
        def get_device_capability(cls, device_id: int = 0) -> DeviceCapability:
            return DeviceCapability(*divmod(gpu.capability, 10))

        @classmethod
        def has_device_capability(cls, capability: tuple[int, int] | int, device_id: int = 0) -> bool:
            return gpu.capability >= (capability if isinstance(capability, int) else capability[0] * 10 + capability[1])

    # What the compiled part answers, built for CUDA 12.8 or newer: csrc/…/w8a8/cutlass/scaled_mm_entry.cu.
    monkeypatch.setattr(_custom_ops, "cutlass_scaled_mm_supports_fp8", lambda capability: capability >= 89)
    monkeypatch.setattr(cutlass, "CUTLASS_BLOCK_FP8_SUPPORTED", gpu.capability >= 90)
    monkeypatch.setattr(current_platform, "__class__", Card)
    _forget_what_was_found()
    yield
    monkeypatch.undo()
    _forget_what_was_found()


def _forget_what_was_found() -> None:
    from vllm.utils import deep_gemm, flashinfer  # noqa: PLC0415 - as above

    deep_gemm.is_deep_gemm_supported.cache_clear()
    flashinfer.is_flashinfer_fp8_blockscale_gemm_supported.cache_clear()
    flashinfer.has_flashinfer_fp8_blockscale_gemm.cache_clear()


def chosen_for_fp8(weights: str, activations: str, kernels: str) -> str:
    """Return the kernel that vLLM takes for such weights, by the names that vLLM has for scales and lists."""
    import torch  # noqa: PLC0415 - as above
    from vllm.model_executor.kernels import linear  # noqa: PLC0415 - as above
    from vllm.model_executor.layers.quantization.utils import quant_utils  # noqa: PLC0415 - as above

    config = linear.FP8ScaledMMLinearLayerConfig(
        weight_quant_key=getattr(quant_utils, weights),
        activation_quant_key=getattr(quant_utils, activations),
        weight_shape=SHAPE,
        input_dtype=torch.bfloat16,
        out_dtype=torch.bfloat16,
    )
    possible: Any = getattr(linear, kernels)
    chosen: type = linear.choose_scaled_mm_linear_kernel(config, possible, quantization="fp8_w8a8")
    return chosen.__name__


def chosen_for_qwens_fp8() -> str:
    """Return the kernel for a scale for each block of 128 × 128 weights."""
    return chosen_for_fp8("kFp8Static128BlockSym", "kFp8Dynamic128Sym", "_POSSIBLE_FP8_BLOCK_KERNELS")


def chosen_for_fp8_dynamic() -> str:
    """Return the kernel for what llm-compressor's FP8_DYNAMIC makes, by the scheme that vLLM takes for it."""
    from vllm.model_executor.layers.quantization.compressed_tensors.schemes import (  # noqa: PLC0415 - as above
        CompressedTensorsW8A8Fp8,
    )
    from vllm.platforms import current_platform  # noqa: PLC0415 - as above

    has_scheme = current_platform.has_device_capability(CompressedTensorsW8A8Fp8.get_min_capability())
    kernels = "_POSSIBLE_FP8_KERNELS" if has_scheme else "_POSSIBLE_WFP8A16_KERNELS"
    return chosen_for_fp8("kFp8StaticChannelSym", "kFp8DynamicTokenSym", kernels)


def weights_only(gpu: Gpu, name: PrecisionName) -> bool:
    """Return what the plan calculates with."""
    precision = next(each for each in PRECISIONS if each.name == name)
    how = computation(gpu, precision)
    assert how is not None
    return how.weights_only


@CARDS
@pytest.mark.usefixtures("on_card")
def test_qwens_fp8_is_computed_in_fp8_exactly_where_the_plan_says_so(gpu: Gpu) -> None:
    chosen = chosen_for_qwens_fp8()
    expected = "Marlin" if weights_only(gpu, "fp8-block") else "CutlassFp8Block"
    assert chosen.startswith(expected)


@pytest.fixture
def with_compiler(on_card: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let vLLM find on the machine what it compiles kernels with, in an environment without its variables."""
    from vllm.model_executor.kernels.linear.scaled_mm import deep_gemm as kernel  # noqa: PLC0415 - as above
    from vllm.utils import deep_gemm, flashinfer  # noqa: PLC0415 - as above

    monkeypatch.setattr(deep_gemm, "has_deep_gemm", lambda: True)
    monkeypatch.setattr(flashinfer, "has_flashinfer", lambda: True)
    monkeypatch.setattr(flashinfer, "_get_submodule", lambda name: SimpleNamespace(fp8_blockscale_gemm_sm90=None))
    model = SimpleNamespace(hf_text_config=SimpleNamespace(model_type="qwen3_vl_text"))
    monkeypatch.setattr(kernel, "get_current_vllm_config", lambda: SimpleNamespace(model_config=model))
    for name in OWN_KERNELS:
        monkeypatch.delenv(name, raising=False)


@CARDS
@pytest.mark.usefixtures("with_compiler")
def test_kernels_do_not_depend_on_a_compiler_on_the_machine(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    left_to_vllm = chosen_for_qwens_fp8()
    for name, value in OWN_KERNELS.items():
        monkeypatch.setenv(name, value)
    _forget_what_was_found()
    chosen = chosen_for_qwens_fp8()
    assert chosen.startswith("Marlin" if weights_only(gpu, "fp8-block") else "CutlassFp8Block")
    assert ("deepgemm" in left_to_vllm.lower()) == (gpu.capability >= 90)


@CARDS
@pytest.mark.usefixtures("on_card")
def test_fp8_with_scales_by_row_is_computed_in_fp8_exactly_where_the_plan_says_so(gpu: Gpu) -> None:
    expected = "Marlin" if weights_only(gpu, "fp8-dynamic") else "CutlassFP8"
    assert chosen_for_fp8_dynamic().startswith(expected)


def test_what_vllm_makes_of_the_bf16_model_has_the_same_scales() -> None:
    from vllm.model_executor.layers.quantization.online.fp8 import (  # noqa: PLC0415 - as above
        Fp8PtpcOnlineLinearMethod,
    )
    from vllm.model_executor.layers.quantization.utils import quant_utils  # noqa: PLC0415 - as above

    made = Fp8PtpcOnlineLinearMethod
    assert made.weight_quant_key == quant_utils.kFp8StaticChannelSym
    assert made.activation_quant_key == quant_utils.kFp8DynamicTokenSym


@CARDS
@pytest.mark.usefixtures("on_card")
def test_four_bits_are_unpacked_everywhere(gpu: Gpu) -> None:
    from vllm.model_executor.kernels.linear.mixed_precision.marlin import MarlinLinearKernel  # noqa: PLC0415 - as above
    from vllm.model_executor.layers.quantization.utils.marlin_utils import (  # noqa: PLC0415 - as above
        query_marlin_supported_quant_types,
    )
    from vllm.scalar_type import scalar_types  # noqa: PLC0415 - as above

    assert weights_only(gpu, "awq")
    assert gpu.capability >= MarlinLinearKernel.get_min_capability()
    assert {scalar_types.uint4, scalar_types.uint4b8} <= {*query_marlin_supported_quant_types()}
