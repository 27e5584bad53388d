"""What a verdict names of a loaded model."""

import itertools
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import structlog

from testing.vllm import tiny_settings
from tests.integration.engine.asking import LABELS, which

if TYPE_CHECKING:
    from service.inference.vllm.model import VllmModel

# Between logits in bfloat16 of 1/8 and more.
STEP = 2.0**-10


@pytest.mark.asyncio(loop_scope="session")
async def test_the_runtime_is_named_by_what_was_loaded(model: "VllmModel") -> None:
    from service.inference.vllm.facts import model_facts  # noqa: PLC0415 - imports vLLM

    facts = await model_facts(model._engine, tiny_settings())
    assert facts.runtime is not None
    release, card, *parts = facts.runtime.split(", ")
    assert release.startswith("vllm 0.")
    assert card == "cpu"
    assert parts == ["UnquantizedLinearMethod", "CPU_ATTN", "TORCH_SDPA", "float32 head", "V1 runner"]


@pytest.mark.asyncio(loop_scope="session")
async def test_scores_are_finer_than_a_head_in_bfloat16_makes_them(model: "VllmModel") -> None:
    """Measured over 40 pictures: 90 % of the differences lie between the steps, and 2 % with a head in bfloat16."""
    read = await model.read(which(1), await model.prepare(None, LABELS))
    steps = [(one - other) / STEP for one, other in itertools.combinations(read.values(), 2)]
    between = [step for step in steps if abs(step - round(step)) > 0.05]
    assert len(between) > len(steps) / 2


@pytest.mark.asyncio(loop_scope="session")
async def test_a_gpu_takes_the_second_model_runner(model: "VllmModel", monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm.config import vllm as configuration  # noqa: PLC0415 - its imports warn

    assert model._engine is not None
    config = model._engine.vllm_config
    assert not config.use_v2_model_runner
    monkeypatch.setattr(configuration, "HAS_TRITON", True)
    assert config.use_v2_model_runner


def test_a_cpu_cannot_run_the_second_model_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, vLLM for CPUs has Triton, and `testing.triton_interpreter` is not needed any more."""
    from service.inference.vllm.processes import vllm_arguments  # noqa: PLC0415 - imports vLLM

    monkeypatch.setenv("VLLM_USE_V2_MODEL_RUNNER", "1")
    with pytest.raises(ValueError, match="Model Runner V2 requires Triton"):
        vllm_arguments(tiny_settings(), None).create_engine_config()


@pytest.mark.asyncio(loop_scope="session")
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
