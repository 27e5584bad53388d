from pathlib import Path

import structlog

from service.inference.vllm.environment import prepare_environment
from service.settings.vllm import VllmSettings


def environment(settings: VllmSettings, **given: str) -> dict[str, str]:
    prepare_environment(settings, given)
    return given


def test_nothing_is_reported_to_others() -> None:
    set_ = environment(VllmSettings())
    assert set_["VLLM_NO_USAGE_STATS"] == set_["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_what_an_operator_set_stays() -> None:
    assert environment(VllmSettings(), VLLM_NO_USAGE_STATS="0")["VLLM_NO_USAGE_STATS"] == "0"


def test_a_folder_needs_no_hub(tmp_path: Path) -> None:
    assert environment(VllmSettings(model=str(tmp_path)))["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in environment(VllmSettings())


def test_a_model_in_the_engines_process_is_allowed_on_a_cpu_where_it_is_asked_for() -> None:
    asked = VllmSettings(engine_args={"distributed_executor_backend": "uni"})
    assert environment(asked)["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    assert "VLLM_ENABLE_V1_MULTIPROCESSING" not in environment(VllmSettings())


def test_nothing_is_compiled_for_a_model_that_is_to_run_without() -> None:
    assert environment(VllmSettings(enforce_eager=True))["TORCH_COMPILE_DISABLE"] == "1"
    assert "TORCH_COMPILE_DISABLE" not in environment(VllmSettings())


def test_our_time_limit_comes_first() -> None:
    set_ = environment(VllmSettings(startup_timeout_s=100.0))
    assert int(set_["VLLM_ENGINE_READY_TIMEOUT_S"]) > 100


def test_kernels_are_those_of_every_machine() -> None:
    set_ = environment(VllmSettings())
    assert set_["VLLM_USE_DEEP_GEMM"] == set_["VLLM_BLOCKSCALE_FP8_GEMM_FLASHINFER"] == "0"


def test_kernels_that_an_operator_chose_stay_and_are_named() -> None:
    with structlog.testing.capture_logs() as logs:
        assert environment(VllmSettings(), VLLM_USE_DEEP_GEMM="1")["VLLM_USE_DEEP_GEMM"] == "1"
    (entry,) = logs
    assert (entry["event"], entry["log_level"]) == ("engine.kernels_not_pinned", "warning")
    assert (entry["variable"], entry["value"], entry["pinned"]) == ("VLLM_USE_DEEP_GEMM", "1", "0")
