"""Whether an adapter fits the model and the questions that it is going to be used with."""

from pathlib import Path

import pytest

from service.inference.adapter_card import CARD_FILE, ServedModel, check_card, read_card
from service.inference.errors import EngineConfigurationError
from service.inference.vision.engine import VisionEngine
from service.inference.vision.prompt import prompter
from service.inference.vllm.adapter_check import AdapterCheck
from service.settings.engine import JudgingSettings
from service.settings.vllm import VllmSettings
from testing.adapter_cards import adapter_card, write_card_beside
from testing.tiny_model.shapes import ADAPTED_INSTRUCTIONS, ADAPTER
from testing.token_model import ScriptedModel

BASE = {"model": "Qwen/Qwen3-VL-8B-Instruct", "revision": "a" * 40, "has_tower": False}


def check(card: object = None, **changes: object) -> None:
    facts = {**BASE, "prompt_hash": "1" * 64, **changes}
    check_card(card or adapter_card(), "shop", **facts)  # type: ignore[arg-type]  # facts by name


def test_an_adapter_for_this_model_and_these_questions_passes() -> None:
    check()


def test_another_base_model_is_refused_with_the_one_that_is_needed() -> None:
    with pytest.raises(EngineConfigurationError, match=r"trained for Qwen/Qwen3-VL-8B-Instruct at revision a+, .*4B"):
        check(model="Qwen/Qwen3-VL-4B-Instruct")


def test_another_revision_is_refused() -> None:
    with pytest.raises(EngineConfigurationError, match=r"engine\.vllm\.revision"):
        check(revision="b" * 40)


def test_a_model_that_the_card_allows_as_well_passes_at_any_revision() -> None:
    card = adapter_card(serve_on=(ServedModel(model="Qwen/Qwen3-VL-8B-Instruct-FP8"),))
    check(card, model="Qwen/Qwen3-VL-8B-Instruct-FP8", revision="c" * 40)


def test_other_questions_are_refused_with_the_policy_that_was_trained() -> None:
    with pytest.raises(EngineConfigurationError, match="the policy 'shoes' version '3'"):
        check(prompt_hash="9" * 64)


def test_a_part_for_the_mergers_needs_the_argument_that_applies_it() -> None:
    card = adapter_card(adapts_merger=True)
    with pytest.raises(EngineConfigurationError, match="enable_tower_connector_lora"):
        check(card)
    check(card, has_tower=True)


def test_a_folder_without_a_card_is_not_checked(tmp_path: Path) -> None:
    assert read_card(tmp_path) is None
    assert read_card(tmp_path / "nowhere") is None


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"format": 2}', b"\xff", b" " * 2_000_000])
def test_a_broken_card_is_refused_with_its_path(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CARD_FILE).write_bytes(content)
    with pytest.raises(EngineConfigurationError, match=CARD_FILE):
        read_card(tmp_path)


def test_a_card_of_a_later_release_with_more_fields_is_read(tmp_path: Path) -> None:
    file = write_card_beside(tmp_path, adapter_card())
    file.write_text(file.read_text().replace('{"format"', '{"later": 1, "format"'))
    assert read_card(tmp_path) == adapter_card()


async def test_an_engine_does_not_prepare_a_policy_whose_questions_the_adapter_was_not_trained_on(
    tmp_path: Path,
) -> None:
    served = ServedModel(model="scripted", revision="1")
    check_adapter = AdapterCheck(VllmSettings(adapters=(f"{ADAPTER}={tmp_path}",)))
    model = ScriptedModel(adapters=frozenset({ADAPTER}))
    engine = VisionEngine(model, JudgingSettings(), kind="vllm", check_adapter=check_adapter)
    await engine.start()
    write_card_beside(tmp_path, adapter_card(base=served))
    with pytest.raises(EngineConfigurationError, match="asks others"):
        await engine.prepare(ADAPTED_INSTRUCTIONS)
    write_card_beside(tmp_path, adapter_card(base=served, prompt_hash=prompter(ADAPTED_INSTRUCTIONS).hash))
    await engine.prepare(ADAPTED_INSTRUCTIONS)
    assert engine.describe(ADAPTED_INSTRUCTIONS).adapter == ADAPTER
