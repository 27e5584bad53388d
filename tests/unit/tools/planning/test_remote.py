import shlex

import pytest
import yaml

from service.settings.engine import EngineSettings
from service.settings.openai import OpenAISettings
from service.tools.planning.gpus import GPUS, Gpu, find_gpu
from service.tools.planning.models import find_model
from service.tools.planning.plan import GpuPlan, PrecisionPlan, plan_gpu
from service.tools.planning.remote import remote_settings_yaml, request_timeout_s, serve_command, untuned_tags_s
from service.tools.planning.workload import TAGS_TOKENS, TYPICAL
from tests.unit.tools.planning.candidates import time_of


def planned(gpu: str, model: str = "8B") -> tuple[GpuPlan, PrecisionPlan]:
    plan = plan_gpu(find_gpu(gpu), find_model(model), TYPICAL)
    assert plan.take is not None
    return plan, plan.take


@pytest.mark.parametrize("gpu", GPUS, ids=lambda gpu: gpu.name)
def test_answers_of_a_server_with_the_planned_step_keep_the_planned_time_limit(gpu: Gpu) -> None:
    _, take = planned(gpu.name, "2B")
    assert take.pace is not None
    engine = EngineSettings(**yaml.safe_load(remote_settings_yaml(take))["engine"])
    assert engine.openai.max_in_flight == take.pace.in_flight
    assert take.pace.step_s * TAGS_TOKENS <= 0.7 * engine.openai.request_timeout_s
    assert engine.timeout_s >= 2.2 * engine.openai.request_timeout_s


def test_the_command_names_the_step_that_the_plan_calculates_with() -> None:
    plan, take = planned("L4")
    assert take.memory is not None
    assert "--quantization fp8_per_channel" in serve_command(plan, take)
    words = shlex.split(serve_command(plan, take).replace("\\\n", ""))
    assert words[:2] == ["VLLM_USE_DEEP_GEMM=0", "VLLM_BLOCKSCALE_FP8_GEMM_FLASHINFER=0"]
    assert words[2:5] == ["vllm", "serve", "Qwen/Qwen3-VL-8B-Instruct"]
    assert words[words.index("--hf-overrides") + 1] == '{"head_dtype": "float32"}'
    assert words[words.index("--max-num-batched-tokens") + 1] == f"{take.memory.step_tokens}"
    assert words[words.index("--max-num-seqs") + 1] == f"{take.memory.sequences}"


@pytest.mark.parametrize(("gpu", "seconds"), [("L4", 29), ("RTX 3090", 50)])
def test_with_vllms_own_step_tags_take_longer_than_the_default_time_limit(gpu: str, seconds: float) -> None:
    longest = untuned_tags_s(time_of(gpu, "bf16"))
    assert longest == pytest.approx(seconds, rel=0.02)
    assert longest > OpenAISettings().request_timeout_s


def test_a_fast_card_keeps_the_default_time_limits() -> None:
    _, take = planned("H100")
    assert request_timeout_s(take) > OpenAISettings().request_timeout_s or "timeout" not in remote_settings_yaml(take)


@pytest.mark.parametrize(("gpu", "precision"), [("H100", "fp8-block"), ("L4", "fp8-dynamic"), ("A10", "bf16")])
def test_verdicts_of_a_server_name_the_precision_as_those_of_the_engine_in_process_do(gpu: str, precision: str) -> None:
    _, take = planned(gpu)
    assert yaml.safe_load(remote_settings_yaml(take))["engine"]["openai"]["precision"] == precision


def test_what_does_not_fit_has_no_command() -> None:
    plan = plan_gpu(find_gpu("RTX 3080 10GB"), find_model("8B"), TYPICAL)
    assert serve_command(plan, plan.precisions[0]) == ""
    assert remote_settings_yaml(plan.precisions[0]) == ""
