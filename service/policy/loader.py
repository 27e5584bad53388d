"""All policies of a service: the files that hold them, and the policy of an event."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from service.policy.errors import PolicySettingsError, UnknownPolicyError
from service.policy.policy import Policy
from service.policy.policy_file import ATTRIBUTES_SUFFIX, check_policy
from service.settings.settings import PolicySettings

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies that this service applies, by name."""

    by_name: Mapping[str, Policy]
    default: Policy
    """Policy for events that name none, of tenants without a policy of their own."""
    by_tenant: Mapping[str, Policy]

    def select(self, name: str | None, *, tenant: str = "") -> Policy:
        """Return a policy by its name; for None the tenant's, or else the default.

        Raises `UnknownPolicyError` for a name that no policy has; it names those that the tenant may use.
        """
        if name is None:
            return self.by_tenant.get(tenant, self.default)
        if name not in self.by_name:
            raise UnknownPolicyError(name=name, known=", ".join(self._names_for(tenant)) or "none for this tenant")
        return self.by_name[name]

    def _names_for(self, tenant: str) -> list[str]:
        """Return the tenant's own policies and those without tenants; other tenants' policies stay hidden."""
        return sorted(name for name, policy in self.by_name.items() if not policy.tenants or tenant in policy.tenants)


def load_policies(settings: PolicySettings) -> Policies:
    """Read the policies that the settings name, or the bundled one; raise a fatal error for any that is unusable."""
    policies = [check_policy(path).result() for path in policy_paths(settings.path)]
    by_name = policies_by_name(policies)
    if (detail := unknown_default(policies, settings.default)) is not None:
        raise PolicySettingsError(setting="policy.default", detail=detail)
    return Policies(by_name, by_name[settings.default], policies_by_tenant(policies))


def policy_paths(path: Path | None) -> list[Path]:
    """Return the files that hold policies: the bundled one's, a file, or all of a folder but attribute schemas."""
    if path is None:
        return [Path(str(files("service.policy").joinpath("policies", "default.yaml")))]
    if not path.is_dir():
        return [path]
    paths = sorted(
        file for file in path.iterdir() if file.suffix in SUFFIXES and ATTRIBUTES_SUFFIX not in file.suffixes
    )
    if not paths:
        raise PolicySettingsError(setting="policy.path", detail=f"{path} holds no {' or '.join(SUFFIXES)} file")
    return paths


def policies_by_name(policies: Iterable[Policy]) -> Mapping[str, Policy]:
    """Return policies by their names; raise `PolicySettingsError` if two have the same."""
    policies = [*policies]
    for detail in repeated_names(policies):
        raise PolicySettingsError(setting="policy.path", detail=detail)
    return {policy.name: policy for policy in policies}


def policies_by_tenant(policies: Iterable[Policy]) -> Mapping[str, Policy]:
    """Return the policy of each tenant; raise `PolicySettingsError` if two policies name the same tenant."""
    policies = [*policies]
    for detail in repeated_tenants(policies):
        raise PolicySettingsError(setting="policy.path", detail=detail)
    return {tenant: policy for policy in policies for tenant in policy.tenants}


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
