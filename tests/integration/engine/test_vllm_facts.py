"""What a verdict names of a loaded model."""

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import structlog

from testing.vllm import tiny_settings

if TYPE_CHECKING:
    from service.inference.vllm.model import VllmModel

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_the_runtime_is_named_by_what_was_loaded(model: "VllmModel") -> None:
    from service.inference.vllm.facts import model_facts  # noqa: PLC0415 - imports vLLM

    facts = await model_facts(model._engine, tiny_settings())
    assert facts.runtime is not None
    release, card, *parts = facts.runtime.split(", ")
    assert release.startswith("vllm 0.")
    assert card == "cpu"
    assert parts == ["UnquantizedLinearMethod", "CPU_ATTN", "TORCH_SDPA", "float32 head", "V1 runner"]


async def test_a_model_of_the_hub_without_a_commit_is_reported_with_the_one_that_was_loaded() -> None:
    from service.inference.vllm.facts import model_facts  # noqa: PLC0415 - as above

    loaded = SimpleNamespace(
        model="Qwen/Qwen3-VL-4B-Instruct",
        hf_config=SimpleNamespace(_commit_hash="5e" * 20),
        quantization=None,
        model_arch_config=SimpleNamespace(quantization_config=None),
        dtype="torch.bfloat16",
    )

    async def loaded_parts(method: str) -> list[list[str]]:
        return [[method, "NVIDIA L4"], [method, "NVIDIA L4"]]

    engine = SimpleNamespace(model_config=loaded, collective_rpc=loaded_parts)
    with structlog.testing.capture_logs() as logs:
        facts = await model_facts(engine, tiny_settings(model=loaded.model))
    assert facts.runtime == "loaded_parts, NVIDIA L4"
    (entry,) = logs
    assert entry == {
        "event": "engine.revision_not_pinned",
        "log_level": "warning",
        "model": loaded.model,
        "setting": "engine.vllm.revision",
        "commit": facts.revision,
    }
