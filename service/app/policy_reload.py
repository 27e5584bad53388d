"""Keeps the policies of a running service like their files: changed ones are in force without a restart."""

import asyncio
import time
import weakref
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

import structlog

from service.core.documents import Checked
from service.core.errors import FatalError, ModstreamError
from service.core.instructions import ModelInstructions
from service.inference.engine import Engine
from service.moderation.calibrations import check_calibration
from service.policy.calibration import Calibration, read_calibration
from service.policy.errors import PreparationTimeoutError
from service.policy.loader import Policies, PolicySet, check_policies
from service.policy.policy import Policy
from service.policy.policy_files import PolicyFiles
from service.policy.taxonomy import check_categories
from service.runtime.file_watch import FileWatch
from service.settings.settings import PolicySettings
from service.telemetry import labels
from service.telemetry.instruments import POLICY_RELOADS

log = structlog.get_logger(__name__)

_PREPARATION_S = 300.0
"""For one policy, beside live images. A remote engine whose servers are all out would take for ever, and files that are
put back meanwhile would not be read."""

_NAMED = 20
"""Changed policies in one line of the log."""


class PolicyReload:
    """The policies of files, read again when these change.

    New policies are checked as at the start, and the engine is prepared for them beside its requests. Then one
    assignment replaces all policies, between two turns of the event loop. An image in work keeps the policy that its
    event got. If anything is wrong with the files, they are refused as a whole and nothing changes.
    """

    def __init__(self, settings: PolicySettings, engine: Engine) -> None:
        """Read the files; raises a `FatalError` for policies that cannot be used."""
        self._settings = settings
        self._preparations = _Preparations(engine)
        self._files = PolicyFiles(settings.path, named=[settings.calibration] if settings.calibration else [])
        self.policies = Policies(_checked(settings, self._files).result())
        self.read_at_s = time.monotonic()
        """When the policies in force were read, by `time.monotonic`."""
        self.is_refused = False

    async def prepare(self) -> None:
        """Prepare the engine, which has started; raises a `FatalError` if it cannot answer every policy."""
        await self._preparations.add(self.policies.current, limit_s=None)

    async def watch(self, requested: asyncio.Event) -> None:
        """Follow the files until cancelled. Setting `requested` has them read at once."""
        is_bundled = self._settings.path is None and self._settings.calibration is None
        every_s = None if is_bundled else self._settings.reload_interval_s
        await FileWatch(self._files, self.use, every_s=every_s, requested=requested).watch()

    def identities(self) -> list[tuple[str, str, str]]:
        """Return name, version and hash of each policy in force; safe in any thread."""
        return [(policy.name, policy.version, policy.hash) for policy in self.policies.by_name.values()]

    def warnings(self) -> list[str]:
        """Return what is wrong with the present files, for /health."""
        if not self.is_refused:
            return []
        # Without the problem: /health of the HTTP API needs no key.
        return ["policy.path cannot be used, the policies before stay in force: see policy.reload_refused in the log"]

    async def use(self, files: PolicyFiles) -> bool:
        """Put the policies of files in force; return False where the engine could not be prepared for them."""
        self._files = files
        try:
            return await self._use(files)
        except Exception:  # a defect, which the watch logs: it must show in /health, too
            self.is_refused = True
            raise

    async def _use(self, files: PolicyFiles) -> bool:
        checked = await asyncio.to_thread(_checked, self._settings, files, known=self.policies.calibration)
        if checked.found is None:
            self._refuse(*checked.problems)
            return True
        try:
            await self._preparations.add(checked.found, limit_s=_PREPARATION_S)
        except ModstreamError as error:
            self._refuse(error)
            return False
        else:
            self._replace(checked.found)
            return True
        finally:
            self._preparations.keep(self.policies.current)

    def _replace(self, new: PolicySet) -> None:
        before, self.policies.current = self.policies.current, new
        self._preparations.retire(before)
        self.read_at_s, self.is_refused = time.monotonic(), False
        POLICY_RELOADS.add(1, {labels.REASON: ""})
        log.info(
            "policy.reloaded",
            policies=len(new.by_name),
            changed=_names(policy for policy in new.by_name.values() if before.by_name.get(policy.name) != policy),
            removed=_names(policy for policy in before.by_name.values() if policy.name not in new.by_name),
        )

    def _refuse(self, problem: ModstreamError, *others: FatalError) -> None:
        self.is_refused = True
        POLICY_RELOADS.add(1, {labels.REASON: problem.reason})
        log.error(
            "policy.reload_refused",
            reason=problem.reason,
            detail=str(problem),
            further_problems=len(others),
            policies_in_force=len(self.policies.by_name),
        )


def _checked(settings: PolicySettings, files: PolicyFiles, *, known: Calibration | None = None) -> Checked[PolicySet]:
    """Return the policies of files with their calibration, or every problem."""
    checked = check_policies(settings, files)
    if settings.calibration is None:
        return checked
    try:
        calibration = read_calibration(settings.calibration, files.read, known=known)
    except FatalError as problem:
        return Checked(None, (*checked.problems, problem))
    return Checked(replace(checked.found, calibration=calibration)) if checked.found else checked


def _names(policies: Iterable[Policy]) -> list[str]:
    """Return the first policies with their versions and the beginnings of their hashes."""
    return [f"{policy.name} {policy.version} {policy.hash[:12]}" for policy in islice(policies, _NAMED)]


class _Preparations:
    """What an engine is prepared for: the policies in force, and those that images in work still have."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._prepared: set[ModelInstructions] = set()
        self._retired: list[tuple[weakref.ref[Policy], ModelInstructions]] = []
        """Policies that are no longer in force. An image in work holds its policy, and nothing else does."""

    async def add(self, policies: PolicySet, *, limit_s: float | None) -> None:
        """Prepare the engine for policies, each within a time limit.

        Raises a `FatalError` if it cannot answer one, or lacks a calibration, and `PreparationTimeoutError`.
        """
        before = frozenset(self._prepared)
        for policy in policies.by_name.values():
            if policy.instructions not in self._prepared:
                await self._prepare(policy, limit_s)
                self._prepared.add(policy.instructions)
            self._check(policy, policies.calibration, is_new=policy.instructions not in before)
            await asyncio.sleep(0)  # a thousand policies take a while

    async def _prepare(self, policy: Policy, limit_s: float | None) -> None:
        try:
            async with asyncio.timeout(limit_s):
                await self._engine.prepare(policy.instructions)
        except TimeoutError as error:
            raise PreparationTimeoutError(policy=policy.name, limit_s=limit_s) from error

    def retire(self, policies: PolicySet) -> None:
        """Keep what policies need until no image has them any longer."""
        self._retired += [(weakref.ref(policy), policy.instructions) for policy in policies.by_name.values()]

    def keep(self, policies: PolicySet) -> None:
        """Let the engine forget what neither these policies nor images in work need."""
        self._retired = [each for each in self._retired if each[0]() is not None]
        needed = {policy.instructions for policy in policies.by_name.values()}
        needed |= {instructions for _, instructions in self._retired}
        for instructions in self._prepared - needed:
            self._engine.forget(instructions)
        self._prepared &= needed

    def _check(self, policy: Policy, calibration: Calibration | None, *, is_new: bool) -> None:
        description = self._engine.describe(policy.instructions)
        source = f"The engine {description.kind} ({description.model_name})"
        check_categories(description.covers, own=policy.categories, source=source)
        check_calibration(calibration, description, policy)
        if is_new:
            log.info(
                "engine.ready",
                engine=description.kind,
                model=description.model_name,
                adapter=description.adapter,
                policy=policy.name,
                covers=sorted(description.covers),
            )
