"""From policy files to policies, with errors that name file, line and setting."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import yaml
from pydantic import ValidationError

from service.policy.errors import PolicyFileError, PolicySettingsError, UnknownPolicyError
from service.policy.policy import Policy
from service.settings import PolicySettings

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies that this service applies, by name."""

    by_name: Mapping[str, Policy]
    default: Policy
    """For events that name none, of tenants without one."""
    by_tenant: Mapping[str, Policy]

    def select(self, name: str | None, *, tenant: str = "") -> Policy:
        """Return a policy by its name; for None the tenant's, or else the default.

        Raises `UnknownPolicyError` for a name that no policy has.
        """
        if name is None:
            return self.by_tenant.get(tenant, self.default)
        if name not in self.by_name:
            raise UnknownPolicyError(name=name, known=", ".join(sorted(self.by_name)))
        return self.by_name[name]


def load_policies(settings: PolicySettings) -> Policies:
    """Read the policies that the settings name, or the bundled one; raise a fatal error for any that is unusable."""
    by_name: dict[str, Policy] = {}
    for path in _paths(settings.path):
        policy = read_policy(path)
        if policy.name in by_name:
            raise PolicySettingsError(setting="policy.path", detail=f"two files define the policy {policy.name!r}")
        by_name[policy.name] = policy
    if settings.default not in by_name:
        known = ", ".join(sorted(by_name))
        raise PolicySettingsError(setting="policy.default", detail=f"no policy is named {settings.default!r}: {known}")
    return Policies(by_name, by_name[settings.default], _by_tenant(by_name.values()))


def _by_tenant(policies: Iterable[Policy]) -> Mapping[str, Policy]:
    by_tenant: dict[str, Policy] = {}
    for policy in policies:
        for tenant in policy.tenants:
            first = by_tenant.setdefault(tenant, policy)
            if first is not policy:
                detail = f"the policies {first.name!r} and {policy.name!r} are both for the tenant {tenant!r}"
                raise PolicySettingsError(setting="policy.path", detail=detail)
    return by_tenant


def _paths(path: Path | None) -> list[Path]:
    if path is None:
        return [Path(str(files("service.policy").joinpath("policies", "default.yaml")))]
    if not path.is_dir():
        return [path]
    paths = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    if not paths:
        raise PolicySettingsError(setting="policy.path", detail=f"{path} holds no {' or '.join(SUFFIXES)} file")
    return paths


def read_policy(path: Path) -> Policy:
    """Read one policy file; raise `PolicyFileError` with the line at fault."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _error(path, 1, str(error)) from error
    root, content = _parse(path, text)
    for line, key in _repeated_keys(root):
        raise _error(path, line, f"{key!r} stands there twice")
    try:
        return Policy.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        location = ".".join(str(step) for step in first["loc"])
        detail = f"{location}: {first['msg']}" if location else first["msg"]
        raise _error(path, _line_of(root, first["loc"]), detail) from error


def _error(path: Path, line: int, detail: str) -> PolicyFileError:
    return PolicyFileError(path=path, line=line, detail=detail, setting="policy.path")


def _parse(path: Path, text: str) -> tuple[yaml.Node, object]:
    """Return the file's nodes, which know their lines, and its content."""
    try:
        root, content = yaml.compose(text, Loader=yaml.SafeLoader), yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise _error(path, mark.line + 1 if mark else 1, str(error.problem)) from error
    if root is None:
        raise _error(path, 1, "the file is empty")
    return root, content


def _repeated_keys(node: yaml.Node) -> Iterator[tuple[int, str]]:
    """YAML readers let the last of two equal keys win in silence, which hides a rule."""
    if not isinstance(node, yaml.MappingNode):
        return
    seen = set()
    for key, value in node.value:
        if key.value in seen:
            yield key.start_mark.line + 1, key.value
        seen.add(key.value)
        yield from _repeated_keys(value)


def _line_of(node: yaml.Node, location: tuple[int | str, ...]) -> int:
    """Return the line of the deepest part of a location that the file has."""
    line = node.start_mark.line + 1
    for step in location:
        found = _child(node, step)
        if found is None:
            break
        line, node = found
    return line


def _child(node: yaml.Node, step: int | str) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key.start_mark.line + 1, value) for key, value in node.value if key.value == step), None)
    return None
