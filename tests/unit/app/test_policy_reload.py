"""Changed policies are put in force as a whole, or refused as a whole."""

import asyncio
import gc
from contextlib import suppress
from pathlib import Path

import pytest
from structlog.typing import EventDict

from service.app import policy_reload
from service.app.policy_reload import PolicyReload
from service.core.instructions import ModelInstructions
from service.inference.vision.engine import VisionEngine
from service.policy.errors import PolicySettingsError, UnknownPolicyError
from service.settings.engine import JudgingSettings
from testing.token_model import ScriptedModel
from testing.waiting import wait_until
from tests.unit.app.policies import Preparing, started, use, versions, write


async def test_changed_policies_are_in_force_and_named_in_the_log(folder: Path, logged: list[EventDict]) -> None:
    write(folder, "fair")
    write(folder, "away")
    reload = await started(folder)
    old = reload.policies.select("shop")
    write(folder, version=2, review=0.3)
    write(folder, "new")
    (folder / "away.yaml").unlink()
    assert await use(reload, folder)
    new = reload.policies.select(None)
    assert (old.version, new.version, old.hash == new.hash) == ("1", "2", False)
    assert versions(reload) == {"fair": "1", "new": "1", "shop": "2"}
    (event,) = [event for event in logged if event["event"] == "policy.reloaded"]
    assert event["policies"] == 3
    assert [each.split()[:2] for each in event["changed"]] == [["new", "1"], ["shop", "2"]]
    assert event["changed"][1].endswith(new.hash[:12])
    assert [each.split()[0] for each in event["removed"]] == ["away"]
    with pytest.raises(UnknownPolicyError):
        reload.policies.select("away")


async def test_policies_that_the_engine_refuses_are_tried_again_and_leave_nothing_behind(
    folder: Path, logged: list[EventDict]
) -> None:
    model = ScriptedModel(adapters=frozenset({"shoes"}))
    engine = VisionEngine(model, JudgingSettings(), kind="scripted")
    await engine.start()
    reload = await started(folder, engine)
    before = reload.policies.current
    write(folder, "fair", means="a new one")
    write(folder, "more", more="adapter: bags\n")
    assert not await use(reload, folder)
    assert reload.policies.current is before
    assert reload.is_refused
    assert [event["reason"] for event in logged if event["event"] == "policy.reload_refused"] == [
        "engine.unknown_adapter"
    ]
    assert engine.describe(before.default.instructions)
    (folder / "more.yaml").unlink()
    assert await use(reload, folder)
    assert engine.describe(reload.policies.select("fair").instructions)


async def test_what_was_prepared_for_refused_policies_is_freed(folder: Path) -> None:
    engine = Preparing()
    reload = await started(folder, engine)
    before = set(engine.prepared)
    write(folder, "fair", means="a new one")
    engine.refusal = PolicySettingsError(setting="engine", detail="not now")
    assert not await use(reload, folder)
    assert set(engine.prepared) == before
    engine.refusal = None
    assert await use(reload, folder)
    assert len(engine.prepared) == 2


@pytest.mark.parametrize("step", ["check", "prepare"])
async def test_a_defect_at_any_step_leaves_the_policies_in_force_and_is_reported(
    folder: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Preparing()
    reload = await started(folder, engine)
    before, prepared = reload.policies.current, set(engine.prepared)
    write(folder, version=2, means="another one")
    defect = ZeroDivisionError()
    with monkeypatch.context() as patched:
        if step == "check":
            patched.setattr(policy_reload, "check_policies", lambda *_: 1 / 0)
        engine.refusal = defect
        with pytest.raises(ZeroDivisionError):
            await use(reload, folder)
    assert reload.policies.current is before
    assert reload.warnings()
    assert set(engine.prepared) == prepared
    engine.refusal = None
    assert await use(reload, folder)
    assert versions(reload) == {"shop": "2"}


async def test_nothing_is_refused_while_the_engine_is_prepared_for_good_files(folder: Path) -> None:
    class Slow(Preparing):
        reload: PolicyReload | None = None
        refused: tuple[bool, ...] = ()

        async def prepare(self, instructions: ModelInstructions) -> None:
            if self.reload is not None:
                self.refused += (self.reload.is_refused,)
            await super().prepare(instructions)

    engine = Slow()
    engine.reload = await started(folder, engine)
    write(folder, version=2, means="another thing")
    assert await use(engine.reload, folder)
    assert engine.refused == (False,)


async def freed_but(reload: PolicyReload, engine: Preparing, folder: Path, needed: set[ModelInstructions]) -> None:
    """Reload until nothing else is prepared: the thread that checked the policies may hold them for a moment longer."""

    async def is_freed() -> bool:
        await use(reload, folder)
        return set(engine.prepared) == needed

    await wait_until(is_freed, description="what nothing needs is freed")


async def test_thousands_of_reloads_leave_one_preparation_for_each_policy(folder: Path) -> None:
    engine = Preparing()
    reload = await started(folder, engine)
    gc.disable()  # what is in no circle is freed without it
    try:
        for version in range(300):
            write(folder, f"fair{version}", means=f"the thing number {version}")
            await use(reload, folder)
            (folder / f"fair{version}.yaml").unlink()
            assert len(engine.prepared) < 10
        await freed_but(reload, engine, folder, {reload.policies.default.instructions})
    finally:
        gc.enable()


async def test_an_image_in_work_keeps_its_policy_and_what_the_engine_prepared_for_it(folder: Path) -> None:
    engine = Preparing()
    reload = await started(folder, engine)
    held = reload.policies.select(None)
    for version in (2, 3):
        write(folder, version=version, means=f"the thing number {version}")
        await use(reload, folder)
    assert (held.version, reload.policies.default.version) == ("1", "3")
    present = reload.policies.default.instructions
    await freed_but(reload, engine, folder, {held.instructions, present})
    del held
    await freed_but(reload, engine, folder, {present})


async def test_instructions_that_stay_the_same_are_not_prepared_again(folder: Path) -> None:
    engine = Preparing()
    reload = await started(folder, engine)
    write(folder, version=2, review=0.3)
    engine.refusal = AssertionError("prepared again")
    assert await use(reload, folder)
    assert versions(reload) == {"shop": "2"}


async def test_files_are_followed_and_a_request_is_served(folder: Path) -> None:
    reload = await started(folder)
    requested = asyncio.Event()
    task = asyncio.create_task(reload.watch(requested))
    write(folder, version=2)
    requested.set()
    await wait_until(lambda: versions(reload) == {"shop": "2"}, description="the new version is in force")
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_an_engine_that_is_never_prepared_holds_up_no_later_files(
    folder: Path, logged: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging(Preparing):
        hangs = False

        async def prepare(self, instructions: ModelInstructions) -> None:
            if self.hangs:
                await asyncio.Event().wait()
            await super().prepare(instructions)

    monkeypatch.setattr(policy_reload, "_PREPARATION_S", 0.01)
    engine = Hanging()
    reload = await started(folder, engine)
    before = set(engine.prepared)
    engine.hangs = True
    write(folder, version=2, means="another one")
    assert not await use(reload, folder)
    assert (versions(reload), reload.is_refused, set(engine.prepared)) == ({"shop": "1"}, True, before)
    (event,) = [event for event in logged if event["event"] == "policy.reload_refused"]
    assert event["reason"] == "policy.preparation_timeout"
    engine.hangs = False
    assert await use(reload, folder)
    assert versions(reload) == {"shop": "2"}
