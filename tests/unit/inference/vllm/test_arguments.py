from pathlib import Path

import pytest
from pydantic import JsonValue

from service.inference.errors import EngineConfigurationError
from service.inference.vllm.arguments import concurrency, engine_arguments, is_pinned, wanted_revision
from service.settings.vllm import DEFAULT_MODEL_REVISION, VllmSettings

KNOWN = ("async_scheduling", "max_num_seqs", "max_num_batched_tokens", "seed", "logprobs_mode")


def refused(name: str) -> str:
    with pytest.raises(EngineConfigurationError) as caught:
        engine_arguments(VllmSettings(engine_args={name: 1}), known=KNOWN, on_cpu=False)
    assert caught.value.facts["setting"] == "engine.vllm.engine_args"
    return str(caught.value.facts["detail"])


def test_settings_become_arguments_of_vllm() -> None:
    settings = VllmSettings(max_sequences=8, gpu_memory_fraction=0.5, download_dir=Path("/models"), revision="main")
    arguments = engine_arguments(settings, known=KNOWN, on_cpu=False)
    assert arguments["max_num_seqs"] == 8
    assert arguments["gpu_memory_utilization"] == 0.5
    assert arguments["download_dir"] == "/models"
    assert arguments["revision"] == arguments["tokenizer_revision"] == "main"


def test_what_is_not_set_is_left_to_vllm() -> None:
    arguments = engine_arguments(VllmSettings(), known=KNOWN, on_cpu=False)
    assert [arguments[name] for name in ("kv_cache_memory_bytes", "block_size", "download_dir")] == [None] * 3
    assert "enable_lora" not in arguments


def test_an_image_keeps_the_size_that_the_service_gave_it() -> None:
    arguments = engine_arguments(VllmSettings(min_vision_tokens=1, max_vision_tokens=256), known=KNOWN, on_cpu=False)
    assert arguments["mm_processor_kwargs"] == {"size": {"shortest_edge": 32 * 32, "longest_edge": 256 * 32 * 32}}


def test_a_request_has_one_image_unless_chats_may_have_more() -> None:
    one = engine_arguments(VllmSettings(), known=KNOWN, on_cpu=False)
    several = engine_arguments(VllmSettings(), known=KNOWN, on_cpu=False, images=16)
    limits = [arguments["limit_mm_per_prompt"] for arguments in (one, several)]
    assert limits == [{"image": 1, "video": 0}, {"image": 16, "video": 0}]
    assert "set by the service" in refused("limit_mm_per_prompt")


def test_free_arguments_are_passed_on() -> None:
    given: dict[str, JsonValue] = {"seed": 7, "async_scheduling": False}
    arguments = engine_arguments(VllmSettings(engine_args=given), known=KNOWN, on_cpu=False)
    assert {name: arguments[name] for name in given} == given


def test_a_misspelt_argument_is_reported_with_what_was_meant() -> None:
    assert refused("max_num_sequences") == "vLLM has no argument 'max_num_sequences'; did you mean 'max_num_seqs'?"
    assert refused("entirely_different") == "vLLM has no argument 'entirely_different'"


def test_an_argument_with_a_setting_of_its_own_names_it() -> None:
    assert refused("max_num_seqs") == "'max_num_seqs' has a setting of its own, engine.vllm.max_sequences"


@pytest.mark.parametrize("name", ["logprobs_mode", "structured_outputs_config", "max_cpu_loras"])
def test_what_the_service_relies_on_cannot_be_changed(name: str) -> None:
    assert "the service, which relies on it" in refused(name)


def overrides(**given: JsonValue) -> object:
    """Return what is changed in the model's configuration."""
    settings = VllmSettings(engine_args=given)
    return engine_arguments(settings, known=(*KNOWN, "hf_overrides"), on_cpu=False)["hf_overrides"]


def test_scores_are_read_from_a_head_in_full_precision() -> None:
    assert overrides() == {"head_dtype": "float32"}


def test_the_models_configuration_can_be_changed_beside_the_head() -> None:
    assert overrides(hf_overrides={"rope_theta": 1.0}) == {"head_dtype": "float32", "rope_theta": 1.0}
    assert overrides(hf_overrides={"head_dtype": "model"}) == {"head_dtype": "model"}


def test_changes_that_are_no_mapping_are_refused() -> None:
    with pytest.raises(EngineConfigurationError, match="'hf_overrides' is no mapping"):
        overrides(hf_overrides="head_dtype")


def test_the_default_model_is_loaded_at_one_commit() -> None:
    assert wanted_revision(VllmSettings()) == DEFAULT_MODEL_REVISION
    assert is_pinned(VllmSettings())
    assert wanted_revision(VllmSettings(revision="main")) == "main"
    assert wanted_revision(VllmSettings(model="Qwen/Qwen3-VL-4B-Instruct")) is None


@pytest.mark.parametrize(("revision", "pins"), [(None, False), ("main", False), ("0c351dd", False), ("5e" * 20, True)])
def test_only_a_whole_commit_pins_a_model_of_the_hub(revision: str | None, pins: bool) -> None:
    assert is_pinned(VllmSettings(model="Qwen/Qwen3-VL-4B-Instruct", revision=revision)) is pins


def test_a_folder_is_what_it_is(tmp_path: Path) -> None:
    assert is_pinned(VllmSettings(model=str(tmp_path)))


def test_every_adapter_stays_in_memory() -> None:
    settings = VllmSettings(adapters=("a=/a", "b=/b", "c=/c"), max_loras=2, max_lora_rank=8)
    arguments = engine_arguments(settings, known=KNOWN, on_cpu=False)
    assert arguments["enable_lora"] is True
    assert (arguments["max_loras"], arguments["max_cpu_loras"], arguments["max_lora_rank"]) == (2, 3, 8)
    one = engine_arguments(VllmSettings(adapters=("a=/a",)), known=KNOWN, on_cpu=False)
    assert one["max_loras"] == 1


def test_on_a_cpu_the_last_place_of_adapters_stays_empty() -> None:
    settings = VllmSettings(adapters=("a=/a", "b=/b", "c=/c"), max_loras=2)
    arguments = engine_arguments(settings, known=KNOWN, on_cpu=True)
    assert (arguments["max_loras"], arguments["max_cpu_loras"]) == (4, 4)


@pytest.mark.parametrize(
    ("sequences", "tokens", "copies", "expected"),
    [(256, 16384, 1, 102), (16, 16384, 1, 32), (256, 100, 1, 2), (256, 16384, 2, 204)],
)
def test_one_step_runs_while_the_next_one_waits(sequences: int, tokens: int, copies: int, expected: int) -> None:
    settings = VllmSettings(max_sequences=sequences, max_batched_tokens=tokens, data_parallel=copies)
    assert concurrency(settings) == expected
