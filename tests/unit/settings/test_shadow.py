"""What may be on trial, and under which settings."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.delivery.required_topics import background_topics, output_topics, required_topics
from service.settings.delivery import TopicSettings
from service.settings.engine import EngineSettings
from service.settings.load import load_settings
from service.settings.problems import InvalidSettingsError
from service.settings.settings import Settings
from service.settings.shadow import ShadowEngineSettings, ShadowSettings
from service.settings.vllm import VllmSettings


@pytest.mark.parametrize("kind", ["vllm", "onnx"])
def test_an_engine_that_would_share_the_process_is_refused_with_what_to_do(kind: str) -> None:
    with pytest.raises(InvalidSettingsError, match=r"share this process and its memory: serve the model beside it"):
        load_settings(None, {"MODSTREAM_SHADOW__ENGINE__KIND": kind})


def test_nothing_is_on_trial_by_default() -> None:
    assert not Settings().shadow.is_on


@pytest.mark.parametrize(
    "shadow", [ShadowSettings(policies=Path("new.yaml")), ShadowSettings(engine=ShadowEngineSettings(kind="openai"))]
)
def test_the_topic_of_shadows_is_created_where_there_are_any_and_no_outcome_waits_for_it(
    shadow: ShadowSettings,
) -> None:
    settings = Settings(shadow=shadow)
    assert background_topics(settings) == {"topics.shadow": "images.verdicts.shadow"}
    assert "topics.shadow" not in required_topics(settings) | output_topics(settings)
    assert background_topics(Settings()) == {}


@pytest.mark.parametrize("topic", ["images.uploaded", "images.verdicts", "images.tags", "images.uploaded.dead"])
def test_shadows_have_a_topic_of_their_own(topic: str) -> None:
    with pytest.raises(ValidationError, match=r"topics\.shadow must differ"):
        TopicSettings(shadow=topic)


@pytest.mark.parametrize(
    ("engine", "adapter", "complaint"),
    [
        (EngineSettings(), "new", "needs engine.kind vllm or openai"),
        (EngineSettings(kind="openai"), None, "needs shadow.engine.adapter"),
        (EngineSettings(kind="vllm", vllm=VllmSettings(adapters=("old=/old",))), "new", "none of engine.vllm.adapters"),
    ],
)
def test_an_adapter_needs_an_engine_that_has_it(engine: EngineSettings, adapter: str | None, complaint: str) -> None:
    shadow = ShadowSettings(engine=ShadowEngineSettings(kind="adapter", adapter=adapter))
    with pytest.raises(ValidationError, match=complaint):
        Settings(engine=engine, shadow=shadow)


def test_an_adapter_of_the_live_engine_may_be_tried() -> None:
    engine = EngineSettings(kind="vllm", vllm=VllmSettings(adapters=("old=/old", "new=/new")))
    Settings(engine=engine, shadow=ShadowSettings(engine=ShadowEngineSettings(kind="adapter", adapter="new")))


@pytest.mark.parametrize("engine", ["engine", "shadow.engine"])
def test_settings_of_an_engine_that_contradict_each_other_are_named_where_they_stand(engine: str) -> None:
    variable = f"MODSTREAM_{engine.replace('.', '__').upper()}__OPENAI__RETURN_AFTER_S"
    with pytest.raises(InvalidSettingsError) as refused:
        load_settings(None, {variable: "50"})
    assert f"\n{engine}.openai.return_after_s {variable}\n" in str(refused.value)
    assert f" {engine}.openai: max_return_after_s must not be under return_after_s." in str(refused.value)


def test_a_shadow_engine_has_a_bounded_number_of_workers() -> None:
    with pytest.raises(InvalidSettingsError, match=r"above 0 and up to 1024"):
        load_settings(None, {"MODSTREAM_SHADOW__ENGINE__MAX_IN_FLIGHT": "1000000000"})
