"""A changed calibration file is put in force with the policies, or refused with them."""

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.typing import EventDict

from service.app.policy_reload import PolicyReload
from service.core.instructions import ModelInstructions
from service.inference.engine import EngineDescription
from service.moderation.calibrations import scored_by
from service.policy.errors import CalibrationMismatchError
from service.policy.policy_files import PolicyFiles
from service.settings.settings import PolicySettings
from testing.engine import PaintedEngine
from testing.vision import INSTRUCTIONS
from testing.waiting import wait_until
from tests.unit.app.policies import versions, write
from tests.unit.moderation.album import VIOLENT, Album, job, moderator, verdict_of
from tests.unit.policy.test_calibration import EVIDENCE, content, written


def write_calibration(
    folder: Path, *, version: str, height: float, covers: tuple[str, ...] = PaintedEngine.CATEGORIES
) -> Path:
    """Write maps that take a score of 1 to a height."""
    engine = PaintedEngine().describe(INSTRUCTIONS)
    maps = {"classifier": {"method": "isotonic", "knots": [[0.0, 0.0], [1.0, height]], **EVIDENCE}}
    entry = {**scored_by(engine).model_dump(), "categories": dict.fromkeys(covers, maps)}
    return written(folder, content(version=version, engines=[entry]))


async def started(folder: Path, calibration: Path) -> PolicyReload:
    reload = PolicyReload(PolicySettings(path=folder, default="shop", calibration=calibration), PaintedEngine())
    await reload.prepare()
    return reload


def files(folder: Path, calibration: Path) -> PolicyFiles:
    return PolicyFiles(folder / "policies", named=[calibration])


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    write(folder)
    return folder


async def test_a_changed_calibration_is_followed_with_the_policies(policies: Path, tmp_path: Path) -> None:
    calibration = write_calibration(tmp_path, version="1", height=0.5)
    reload = await started(policies, calibration)
    requested = asyncio.Event()
    task = asyncio.create_task(reload.watch(requested))
    write_calibration(tmp_path, version="2", height=0.5)
    requested.set()
    await wait_until(
        lambda: reload.policies.calibration is not None and reload.policies.calibration.content.version == "2",
        description="the new calibration is in force",
    )
    task.cancel()


@pytest.mark.parametrize("fault", ["no category", "no YAML", "no file"])
async def test_a_calibration_that_cannot_be_used_is_refused(
    policies: Path, tmp_path: Path, fault: str, logged: list[EventDict]
) -> None:
    calibration = write_calibration(tmp_path, version="1", height=0.5)
    reload = await started(policies, calibration)
    before = reload.policies.current
    if fault == "no category":
        write_calibration(tmp_path, version="2", height=0.5, covers=("weapons",))
    elif fault == "no YAML":
        calibration.write_text("[")
    else:
        calibration.unlink()
    await reload.use(files(tmp_path, calibration))
    assert reload.policies.current is before
    assert reload.warnings()
    (event,) = [event for event in logged if event["event"] == "policy.reload_refused"]
    assert "(read because of policy.calibration)" in event["detail"] or "lacks maps" in event["detail"]
    write_calibration(tmp_path, version="3", height=0.5)
    await reload.use(files(tmp_path, calibration))
    assert reload.warnings() == []


async def test_an_image_in_work_keeps_the_calibration_of_its_policy(policies: Path, tmp_path: Path) -> None:
    calibration = write_calibration(tmp_path, version="1", height=0.5)
    reload = await started(policies, calibration)
    hold = asyncio.Event()
    engine = PaintedEngine(hold=hold)
    moderating = moderator(Album(film=[VIOLENT]), engine=engine, policies=reload.policies)
    first = asyncio.create_task(moderating(job({"image": {"url": "film"}})))
    await wait_until(lambda: len(engine.requests) == 1, description="the first image is in the engine")
    write_calibration(tmp_path, version="2", height=0.25)
    await reload.use(files(tmp_path, calibration))
    hold.set()
    old, new = verdict_of(await first), verdict_of(await moderating(job({"image": {"url": "film"}})))
    assert [verdict.scores["violence"] for verdict in (old, new)] == [pytest.approx(0.5), pytest.approx(0.25)]
    assert [(verdict.calibration_file or "")[:6] for verdict in (old, new)] == ["shop/1", "shop/2"]


@pytest.mark.parametrize(("height", "is_usable"), [(0.09, False), (0.1, True)])
async def test_a_calibration_that_switches_child_safety_off_is_refused(
    policies: Path, tmp_path: Path, height: float, is_usable: bool
) -> None:
    covers = (*PaintedEngine.CATEGORIES, "child_safety")

    class Covering(PaintedEngine):
        def describe(self, instructions: ModelInstructions) -> EngineDescription:
            return replace(super().describe(instructions), covers=frozenset(covers))

    calibration = write_calibration(tmp_path, version="1", height=height, covers=covers)
    reload = PolicyReload(PolicySettings(path=policies, default="shop", calibration=calibration), Covering())
    with nullcontext() if is_usable else pytest.raises(CalibrationMismatchError, match=r"child_safety into 0\.09 at"):
        await reload.prepare()


async def test_a_calibration_that_stays_the_same_is_not_parsed_again(policies: Path, tmp_path: Path) -> None:
    calibration = write_calibration(tmp_path, version="1", height=0.5)
    reload = await started(policies, calibration)
    before = reload.policies.calibration
    write(policies, version=2)
    await reload.use(files(tmp_path, calibration))
    assert versions(reload) == {"shop": "2"}
    assert reload.policies.calibration is before
