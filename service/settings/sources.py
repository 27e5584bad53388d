"""Values of a YAML file or the environment, each with the place where it is set."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from service.core import yaml_text
from service.core.file_kinds import SETTINGS, other_kind_hint
from service.settings.catalogue import ENVIRONMENT_PREFIX, NESTING, Setting, Shape
from service.settings.problems import Problem, closest, unknown_setting

REMOVED = {
    "engine.openai.patience_s": "Records wait without limit while no server works; the setting may be left out.",
}
"""Settings of the release before this one that are read and have no effect, each with what holds instead."""

CONFIG_VARIABLE = "MODSTREAM_CONFIG"
"""Names the settings file where `--config` does not."""

_MAX_PROBLEMS = 100
"""A file with more is of another kind, and each unknown name is compared with all settings."""

_NULL_TAG = "tag:yaml.org,2002:null"

# Kubernetes announces every Service of a namespace to every pod in variables of these forms. One called "modstream"
# must not look like misspelt settings.
_KUBERNETES_SERVICE = re.compile(
    r"MODSTREAM(_[A-Z0-9]+)*_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)


@dataclass(frozen=True, slots=True)
class Given:
    """A value, and the place where it is set."""

    value: object
    source: str


@dataclass(slots=True)
class Reading:
    """The values of one source, and its problems."""

    values: dict[str, Given] = field(default_factory=dict)
    """By dotted name."""
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def read_environment(environment: Mapping[str, str], settings: Mapping[str, Setting]) -> Reading:
    """Read `MODSTREAM_…` variables.

    An empty variable counts as not set, because Compose files pass such variables on.
    """
    reading = Reading()
    for variable, text in sorted(environment.items()):
        name = variable.upper()
        if not name.startswith(ENVIRONMENT_PREFIX) or name == CONFIG_VARIABLE:
            continue
        path = name.removeprefix(ENVIRONMENT_PREFIX).lower().replace(NESTING, ".")
        if path in REMOVED:
            reading.warnings.append(_removed(path, variable))
        elif path not in settings:
            if not _KUBERNETES_SERVICE.fullmatch(name):
                reading.problems.append(_unknown_variable(variable, path, settings))
        elif text:
            reading.values[path] = Given(_value_of(text, settings[path]), variable)
    return reading


def _removed(path: str, source: str) -> Problem:
    return Problem(path, source, f"It has no effect any more, and will be refused by the next release. {REMOVED[path]}")


def _unknown_variable(variable: str, path: str, settings: Mapping[str, Setting]) -> Problem:
    """Suggest by the variable's name, because that is what has to be corrected."""
    flat = {setting.path.replace(".", "_"): setting.variable for setting in settings.values()}
    names = [setting.variable for setting in settings.values()]
    meant = flat.get(path.replace(".", "_")) or closest(variable.upper(), names)
    return unknown_setting("", variable, meant)


def _value_of(text: str, setting: Setting) -> object:
    """Return the text; its parts for a list, in brackets or between commas; what YAML or JSON says for a map."""
    match setting.shape:
        case Shape.SCALAR:
            return text
        case Shape.LIST if not text.lstrip().startswith("["):
            return [part.strip() for part in text.split(",") if part.strip()]
        case _:
            return _parsed(text)


def _parsed(text: str) -> object:
    try:
        return yaml_text.load(text)
    except yaml.YAMLError:
        return text


def read_file(path: Path, settings: Mapping[str, Setting]) -> Reading:
    """Read a YAML file."""
    try:
        root = yaml_text.compose(path.read_text(encoding="utf-8"))
    except OSError as error:
        return Reading(problems=[Problem("", str(path), f"The file cannot be read: {error.strerror}.")])
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        return Reading(problems=[Problem("", f"{path}:{line}", f"This is not YAML: {error.problem}.")])
    except (UnicodeDecodeError, yaml.YAMLError):
        return Reading(problems=[Problem("", str(path), "The file is no YAML text in UTF-8.")])
    if (hint := _other_kind(root)) is not None:
        return Reading(problems=[Problem("", str(path), hint)])
    reading = Reading()
    if root is not None:
        _FileReader(path, settings, reading).read_group("", root)
    return reading


def _other_kind(root: yaml.Node | None) -> str | None:
    """Return what a file of another kind is, and what takes it; None for settings."""
    if not isinstance(root, yaml.MappingNode):
        return None
    groups = (yaml.MappingNode, yaml.SequenceNode)
    content: dict[str, object] = {
        str(key.value): {} if isinstance(value, groups) else None for key, value in root.value
    }
    hint = other_kind_hint(content, SETTINGS)
    return None if hint is None else f"T{hint[1:]}."


class _FileReader:
    """Walks the nodes of a file, which know their lines."""

    def __init__(self, path: Path, settings: Mapping[str, Setting], reading: Reading) -> None:
        self._path = path
        self._settings = settings
        self._groups = {name for path in settings for name in _ancestors(path)}
        self._reading = reading

    def read_group(self, group: str, node: yaml.Node) -> None:
        """Read a mapping; an empty value is an empty group, as when all in it is commented out."""
        if not isinstance(node, yaml.MappingNode):
            if not isinstance(node, yaml.ScalarNode) or node.tag != _NULL_TAG:
                detail = "Settings are written as 'name: value', one a line."
                self._reading.problems.append(Problem(group, self._place(node), detail))
            return
        for key, value in node.value:
            if len(self._reading.problems) >= _MAX_PROBLEMS:
                return
            name = f"{group}.{key.value}" if group else str(key.value)
            self._read_entry(name, key, value)

    def _read_entry(self, name: str, key: yaml.Node, value: yaml.Node) -> None:
        if name in self._groups:
            self.read_group(name, value)
        elif name in REMOVED:
            self._reading.warnings.append(_removed(name, self._place(key)))
        elif name not in self._settings:
            meant = closest(name, [*self._settings, *self._groups])
            self._reading.problems.append(unknown_setting(name, self._place(key), meant))
        elif name in self._reading.values:
            detail = f"It is set twice; first at {self._reading.values[name].source}."
            self._reading.problems.append(Problem(name, self._place(key), detail))
        else:
            self._read_value(name, key, value)

    def _read_value(self, name: str, key: yaml.Node, value: yaml.Node) -> None:
        try:
            self._reading.values[name] = Given(yaml_text.construct(value), self._place(key))
        except yaml.MarkedYAMLError as error:
            self._reading.problems.append(Problem(name, self._place(key), f"This is not YAML: {error.problem}."))

    def _place(self, node: yaml.Node) -> str:
        return f"{self._path}:{node.start_mark.line + 1}"


def _ancestors(path: str) -> Iterator[str]:
    """Yield the groups that a dotted name lies in."""
    while path := path.rpartition(".")[0]:
        yield path
