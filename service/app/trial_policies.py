"""Reads the policies on trial, at the start and whenever their files change."""

import asyncio

import structlog

from service.core.errors import FatalError
from service.moderation.shadow_policies import ShadowPolicies, TrialPolicies
from service.policy.errors import PolicySettingsError
from service.policy.loader import Policies
from service.policy.policy import Policy
from service.policy.policy_file import check_policy
from service.policy.policy_files import PolicyFiles

log = structlog.get_logger(__name__)

SETTING = "shadow.policies"


class LiveNames:
    """The names of the live policies, which may change while the service runs."""

    def __init__(self, live: Policies) -> None:
        self._live = live

    def __contains__(self, name: object) -> bool:
        """Return whether a live policy has this name now."""
        return name in self._live.by_name


class TrialReload:
    """Gives policies on trial to a shadow. At the start broken files are left out; later they change nothing."""

    def __init__(self, shadow: ShadowPolicies, live: Policies) -> None:
        self._shadow = shadow
        self._live = live

    def begin(self, files: PolicyFiles) -> None:
        """Try the usable ones of some policies."""
        found, faults = read_trial_policies(files)
        self._refuse(faults, "has files that are left out")
        self._try(found)

    async def use(self, files: PolicyFiles) -> bool:
        """Try other policies, if all can be used."""
        found, faults = await asyncio.to_thread(read_trial_policies, files)
        self._refuse(faults, "has files that cannot be used, those before are tried further")
        if not faults:
            self._try(found)
        return True

    def _try(self, found: list[Policy]) -> None:
        self._shadow.replace(TrialPolicies(found, live=LiveNames(self._live)))
        log.info("shadow.policies", policies=[f"{policy.name}/{policy.version}" for policy in found])

    def _refuse(self, faults: list[str], consequence: str) -> None:
        for fault in faults:
            log.error("shadow.policy_refused", detail=fault)
        # Without the fault: /health of the HTTP API needs no key.
        self._shadow.warning = f"{SETTING} {consequence}: see shadow.policy_refused in the log" if faults else None


def read_trial_policies(files: PolicyFiles) -> tuple[list[Policy], list[str]]:
    """Return the usable policies of a file or folder, and what is wrong with the others.

    Several may have one name, with different versions.
    """
    found: dict[tuple[str, str], Policy] = {}
    faults = []
    try:
        paths = files.paths()
    except PolicySettingsError as error:
        return [], [str(error)]
    for path in paths:
        checked = check_policy(path, files.read)
        faults += [_said_of(problem) for problem in checked.problems]
        if (policy := checked.found) is None:
            continue
        if found.setdefault((policy.name, policy.version), policy) is not policy:
            faults.append(f"{SETTING}: {path} is version {policy.version} of {policy.name}, as is another file")
    return [*found.values()], faults


def _said_of(problem: FatalError) -> str:
    facts = problem.facts
    return f"{SETTING}: {facts['path']}, line {facts['line']}: {facts['detail']}"
