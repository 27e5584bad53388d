"""From a file and the environment to checked settings: the environment wins; every problem is reported at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from service.core.validation_text import text_of
from service.settings.catalogue import Setting, catalogue
from service.settings.problems import InvalidSettingsError, Problem, describe_value, hide_credentials
from service.settings.settings import Settings
from service.settings.sources import CONFIG_VARIABLE, Given, read_environment, read_file


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Checked settings, and the places where they are set."""

    settings: Settings
    sources: Mapping[str, str]
    """`file:line` or variable, by dotted name; what is absent has its default."""
    warnings: tuple[Problem, ...] = ()
    """Settings that were given and have no effect any more."""


def load_settings(config: Path | None, environment: Mapping[str, str]) -> LoadedSettings:
    """Read the file (`config`, else MODSTREAM_CONFIG, else none), then the environment, and check them together.

    Raises `InvalidSettingsError` with every problem.
    """
    known = catalogue()
    path = config or (Path(environment[CONFIG_VARIABLE]) if environment.get(CONFIG_VARIABLE) else None)
    readings = [read_file(path, known)] if path else []
    readings.append(read_environment(environment, known))
    given = {name: value for reading in readings for name, value in reading.values.items()}
    problems = [problem for reading in readings for problem in reading.problems]
    try:
        settings = Settings.model_validate(_nested(given))
    except ValidationError as error:
        problems += [_problem(details, given, known) for details in error.errors()]
    if problems:
        raise InvalidSettingsError(problems=tuple(problems))
    warnings = tuple(warning for reading in readings for warning in reading.warnings)
    return LoadedSettings(settings, {name: value.source for name, value in given.items()}, warnings)


def _nested(given: Mapping[str, Given]) -> dict[str, Any]:
    """Return {"kafka": {"group_id": …}} for {"kafka.group_id": …}."""
    tree: dict[str, Any] = {}
    for name, value in given.items():
        *parents, last = name.split(".")
        group = tree
        for parent in parents:
            group = group.setdefault(parent, {})
        group[last] = value.value
    return tree


def _problem(details: ErrorDetails, given: Mapping[str, Given], known: Mapping[str, Setting]) -> Problem:
    """Turn pydantic's error into one that names the setting, its source and what is allowed."""
    name = _setting_at(details["loc"], known)
    if name is None:
        return _conflict(details, given)
    position = "".join(f" (item {part + 1})" for part in details["loc"] if isinstance(part, int))
    value = describe_value(details["input"], secret=known[name].secret)
    detail = f"Given is {value}{position}; allowed is {known[name].allowed}."
    if details["type"] in {"value_error", "assertion_error"}:
        detail = f"Given is {value}{position}: {_without_secrets(details)}."
    return Problem(name, given[name].source, detail)


def _without_secrets(details: ErrorDetails) -> str:
    """Return pydantic's message with the text that it repeats shown as values are."""
    message, text = text_of(details), details.get("ctx", {}).get("text")
    return message.replace(text, str(hide_credentials(text))) if isinstance(text, str) and text else message


def _setting_at(location: tuple[int | str, ...], known: Mapping[str, Setting]) -> str | None:
    """Return the setting that an error is about; None for one about several settings together."""
    name = ""
    for part in location:
        name = f"{name}.{part}" if name else str(part)
        if name in known:
            return name
    return None


def _conflict(details: ErrorDetails, given: Mapping[str, Given]) -> Problem:
    """Report settings that contradict each other: their names travel in the error's context."""
    names, text = str(details.get("ctx", {}).get("settings", "")).split(", "), text_of(details)
    if details["loc"] and not any("." in name for name in names):
        group = ".".join(str(part) for part in details["loc"])
        names, text = [f"{group}.{name}" for name in names], f"{group}: {text}"
    sources = [f"{name} {given[name].source}" for name in names if name in given]
    return Problem("", ", ".join(sources), f"{text}.")
