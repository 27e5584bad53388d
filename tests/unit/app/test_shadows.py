"""What is on trial is read and published so that nothing wrong with it ends the service."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.app.shadows import BackgroundRecords, running_shadows
from service.app.trial_policies import SETTING, read_trial_policies
from service.core.records import OutgoingRecord
from service.inference.engine import EngineLoad
from service.kafka.errors import PublishError
from service.kafka.steady_publisher import SteadyPublisher
from service.moderation.shadow import count_left_out
from service.monitoring.sources import Sources
from service.policy.loader import load_policies
from service.policy.policy_files import PolicyFiles
from service.settings.settings import PolicySettings, Settings
from service.settings.shadow import ShadowSettings
from testing.clock import StillClock
from testing.engine import PaintedEngine
from testing.kafka import free_port
from testing.metrics import counting, scraped
from testing.waiting import wait_until
from tests.unit.moderation.shadow_parts import judgement

GOOD = "name: default\nversion: '{version}'\ncategories: {{child_safety: {{review: 0.1}}}}\n"


def logged(lines: Sequence[Mapping[str, Any]]) -> set[str]:
    return {line["event"] for line in lines}


RECORD = OutgoingRecord("shadow", b"key", b"value", ())


def test_a_broken_file_is_left_out_with_its_line_and_the_others_are_tried(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD.format(version=2))
    (tmp_path / "b.yaml").write_text("name: default\nversion: '3'\ncategories: {weapons: {review: 2}}\n")
    (tmp_path / "c.yaml").write_text(GOOD.format(version=4))
    found, warnings = read_trial_policies(PolicyFiles(tmp_path, setting=SETTING))
    assert [(policy.name, policy.version) for policy in found] == [("default", "2"), ("default", "4")]
    assert all(warning.startswith(f"shadow.policies: {tmp_path / 'b.yaml'}, line 3: ") for warning in warnings)
    assert warnings


def test_of_two_files_with_one_name_and_version_one_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD.format(version=2))
    (tmp_path / "b.yaml").write_text(GOOD.format(version=2))
    found, warnings = read_trial_policies(PolicyFiles(tmp_path, setting=SETTING))
    assert len(found) == 1
    assert warnings == [f"shadow.policies: {tmp_path / 'b.yaml'} is version 2 of default, as is another file"]


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_is_missing_and_a_folder_without_any_try_nothing(tmp_path: Path, name: str) -> None:
    found, (warning,) = read_trial_policies(PolicyFiles(tmp_path / name, setting=SETTING))
    assert found == []
    assert warning.startswith("shadow.policies: ")


class Broken(SteadyPublisher):
    """Brokers that take nothing until they are mended."""

    def __init__(self) -> None:
        self.is_broken = True
        self.attempts = 0

    async def publish_all(self, records: Sequence[OutgoingRecord]) -> None:
        """Fail while broken."""
        self.attempts += 1
        if self.is_broken:
            raise PublishError(topic="shadow", detail="on purpose")


async def test_lost_records_are_counted_and_said_once_and_attempts_are_few_until_it_works_again() -> None:
    brokers, clock = Broken(), StillClock()
    records = BackgroundRecords(
        brokers,
        setting="topics.shadow",
        count_lost=lambda records: count_left_out("records", "not_published", records),
        clock=clock,
    )
    with counting() as metrics, capture_logs() as lines:
        for _ in range(5):
            await records.publish([RECORD, RECORD])
        assert len(records.warnings()) == 1
        assert brokers.attempts == 1
        clock.now_s += 10.0
        await records.publish([RECORD, RECORD])
        assert brokers.attempts == 2
        clock.now_s += 10.0
        brokers.is_broken = False
        await records.publish([RECORD])
        lost = scraped(metrics).value("modstream_shadow_left_out_total", part="records", reason="not_published")
    assert [line["event"] for line in lines] == ["shadow.not_published", "shadow.published_again"]
    assert (lost, records.warnings()) == (12, [])


async def test_the_api_alone_tries_policies_without_kafka(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD.format(version=2))
    settings = Settings(shadow=ShadowSettings(policies=tmp_path))
    sources = Sources(has_stream=False)
    with counting() as metrics:
        async with running_shadows(settings, sources, load_policies(PolicySettings()), PaintedEngine()) as shadows:
            shadows.offer(judgement())
        scrape = scraped(metrics)
    assert scrape.value("modstream_shadow_decisions_total", shadow="default/2", agrees="yes") == 1
    assert sources.shadow_warnings() == []


async def test_an_adapter_is_tried_while_the_live_engine_has_places_that_nothing_waits_for() -> None:
    class Loaded(PaintedEngine):
        now = EngineLoad(running=7, waiting=0)

        def load(self) -> EngineLoad:
            return self.now

    engine = Loaded()
    shadow = {"engine": {"kind": "adapter", "adapter": "new", "share": 1.0, "max_in_flight": 1, "max_waiting": 100}}
    settings = Settings.model_validate({"engine": {"kind": "openai"}, "shadow": shadow})
    sources = Sources(has_stream=False)
    with counting() as metrics, capture_logs() as lines:
        async with running_shadows(settings, sources, load_policies(PolicySettings()), engine) as shadows:
            await wait_until(lambda: "shadow.engine_ready" in logged(lines), description="the engine is on trial")
            for load in (EngineLoad(7, 0), EngineLoad(8, 0), EngineLoad(7, 1), EngineLoad(7, 0, is_reachable=False)):
                engine.now = load
                shadows.offer(judgement())
        left_out = scraped(metrics).value("modstream_shadow_left_out_total", part="engine", reason="no_room")
    assert left_out == 3


async def test_allowed_images_are_audited_by_the_live_engine_once_it_has_places_that_nothing_waits_for() -> None:
    class Loaded(PaintedEngine):
        now = EngineLoad(running=8, waiting=0)

        def load(self) -> EngineLoad:
            return self.now

    engine = Loaded()
    settings = Settings.model_validate({"policy": {"audit_share": 1.0}})
    sources = Sources(has_stream=False)
    with counting() as metrics:
        async with running_shadows(settings, sources, load_policies(PolicySettings()), engine) as shadows:
            shadows.offer(judgement())
            await asyncio.sleep(0.1)
            assert not engine.requests
            engine.now = EngineLoad(running=7, waiting=0)
            await wait_until(lambda: bool(engine.requests), description="the image is audited")
            await wait_until(
                lambda: scraped(metrics).value("modstream_audits_total", policy="default", decision="allow") == 1,
                description="the audit is counted",
            )


async def test_changed_policies_are_tried_without_a_restart_and_broken_ones_are_not(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(GOOD.format(version=2))
    settings = Settings(shadow=ShadowSettings(policies=tmp_path), policy=PolicySettings(reload_interval_s=0.02))
    sources = Sources(has_stream=False)

    def tried() -> object:
        return next((line["policies"] for line in reversed(lines) if line["event"] == "shadow.policies"), None)

    with capture_logs() as lines:
        async with running_shadows(settings, sources, load_policies(PolicySettings()), PaintedEngine()):
            assert tried() == ["default/2"]
            file.write_text("categories: {weapons: {review: 2}}")
            await wait_until(lambda: bool(sources.shadow_warnings()), description="the broken file is refused")
            assert tried() == ["default/2"]
            file.write_text(GOOD.format(version=3))
            await wait_until(lambda: tried() == ["default/3"], description="the new policy is tried")
            assert sources.shadow_warnings() == []


async def test_what_is_wrong_with_the_engine_on_trial_is_said_of_its_own_settings() -> None:
    port = free_port()
    openai = {"base_urls": [f"http://127.0.0.1:{port}"], "startup_timeout_s": 0.01}
    settings = Settings.model_validate({"shadow": {"engine": {"kind": "openai", "openai": openai}}})
    with capture_logs() as lines:
        async with running_shadows(
            settings, Sources(has_stream=False), load_policies(PolicySettings()), PaintedEngine()
        ):
            await wait_until(lambda: "shadow.engine_failed" in logged(lines), description="the engine does not start")
    (line,) = [line for line in lines if line["event"] == "shadow.engine_failed"]
    error = str(line["error"])
    assert error.startswith("shadow.engine.openai.base_urls: no server answers")
    assert "(shadow.engine.openai.startup_timeout_s)" in error
