"""All policies of a service: the files that hold them, and the policy of an event."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from service.core.documents import Checked
from service.core.errors import FatalError
from service.policy.calibration import Calibration
from service.policy.errors import PolicySettingsError, UnknownPolicyError
from service.policy.policy import Policy
from service.policy.policy_file import check_policy
from service.policy.policy_files import PolicyFiles
from service.settings.settings import PolicySettings


@dataclass(frozen=True, slots=True)
class PolicySet:
    """Policies that are applied together."""

    by_name: Mapping[str, Policy]
    default: Policy
    """Policy for events that name none, of tenants without a policy of their own."""
    by_tenant: Mapping[str, Policy]
    calibration: Calibration | None = None
    """Of all scores that these policies are applied to; None if scores count as they are."""


class Policies:
    """The policies that this service applies. A running service may get others; each event keeps the policy it got."""

    def __init__(self, current: PolicySet) -> None:
        self.current = current
        """Replaced as a whole, so that no reader sees parts of two sets."""

    @property
    def by_name(self) -> Mapping[str, Policy]:
        """The present policies by name."""
        return self.current.by_name

    @property
    def default(self) -> Policy:
        """The present policy for events that name none, of tenants without a policy of their own."""
        return self.current.default

    @property
    def calibration(self) -> Calibration | None:
        """The calibration that belongs to the present policies."""
        return self.current.calibration

    def select(self, name: str | None, *, tenant: str = "") -> Policy:
        """Return a policy by its name; for None the tenant's, or else the default.

        Raises `UnknownPolicyError` for a name that no policy has; it names those that the tenant may use.
        """
        if name is None:
            return self.current.by_tenant.get(tenant, self.default)
        if name not in self.by_name:
            raise self._unknown(name, tenant)
        return self.by_name[name]

    def select_known(self, name: str | None, *, tenant: str) -> Policy:
        """Return a policy as `select` does, for a caller who may use those that its tenant knows of alone.

        Raises `UnknownPolicyError` for another tenant's policy as for one that does not exist.
        """
        policy = self.select(name, tenant=tenant)
        if policy not in self.known_to(tenant):
            raise self._unknown(policy.name, tenant)
        return policy

    def known_to(self, tenant: str) -> tuple[Policy, ...]:
        """Return the tenant's own policies, those without tenants, and the one for events that name none."""
        own = self.select(None, tenant=tenant)
        return tuple(
            each for each in self.by_name.values() if not each.tenants or tenant in each.tenants or each is own
        )

    def _unknown(self, name: str, tenant: str) -> UnknownPolicyError:
        """Return the error that names the policies of the tenant; other tenants' policies stay hidden."""
        names = sorted(policy.name for policy in self.known_to(tenant))
        return UnknownPolicyError(name=name, known=", ".join(names) or "none for this tenant")


def load_policies(settings: PolicySettings) -> Policies:
    """Read the policies that the settings name, or the bundled one; raise a fatal error for any that is unusable."""
    return Policies(check_policies(settings, PolicyFiles(settings.path)).result())


def check_policies(settings: PolicySettings, files: PolicyFiles) -> Checked[PolicySet]:
    """Return the policies of files, or every problem with them: of each alone, and of all together."""
    checked = check_each(files)
    policies, problems = checked.found or (), checked.problems
    if not problems:
        problems = tuple(_problems_together(policies, settings.default))
    if problems:
        return Checked(None, problems)
    by_name = {policy.name: policy for policy in policies}
    by_tenant = {tenant: policy for policy in policies for tenant in policy.tenants}
    return Checked(PolicySet(by_name, by_name[settings.default], by_tenant))


def check_each(files: PolicyFiles) -> Checked[tuple[Policy, ...]]:
    """Return the policy of each file, or every problem with them."""
    try:
        checked = [check_policy(path, files.read) for path in files.paths()]
    except PolicySettingsError as problem:
        return Checked(None, (problem,))
    problems = tuple(problem for each in checked for problem in each.problems)
    return Checked(None, problems) if problems else Checked(tuple(each.result() for each in checked))


def _problems_together(policies: Sequence[Policy], default: str) -> Iterator[FatalError]:
    for detail in (*repeated_names(policies), *repeated_tenants(policies)):
        yield PolicySettingsError(setting="policy.path", detail=detail)
    unknown = unknown_default(policies, default)
    if unknown is not None:
        yield PolicySettingsError(setting="policy.default", detail=unknown)


def unknown_default(policies: Iterable[Policy], default: str) -> str | None:
    """Return the error if no policy has the name of the default one; None otherwise."""
    names = {policy.name for policy in policies}
    return None if default in names else f"no policy is named {default!r}; known: {', '.join(sorted(names))}"


def repeated_names(policies: Iterable[Policy]) -> Iterator[str]:
    """Yield a sentence for each name that several policies have."""
    counts = Counter(policy.name for policy in policies)
    for name, count in counts.items():
        if count > 1:
            yield f"{'two' if count == 2 else count} files define the policy {name!r}"  # noqa: PLR2004 - in words


def repeated_tenants(policies: Iterable[Policy]) -> Iterator[str]:
    """Yield a sentence for each tenant that two policies are for."""
    owners: dict[str, Policy] = {}
    for policy in policies:
        for tenant in policy.tenants:
            first = owners.setdefault(tenant, policy)
            if first is not policy:
                yield f"the policies {first.name!r} and {policy.name!r} are both for the tenant {tenant!r}"
