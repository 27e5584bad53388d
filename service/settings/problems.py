"""Errors in settings, with what is needed to correct them: which setting, where it was set, what it may hold."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from service.core.errors import FatalError
from service.settings.types import TRACE_ID_PLACE

# Longer values are cut in messages: the place is named anyway.
MAX_SHOWN_CHARACTERS = 60

_SCHEME = re.compile(r"\A\s*[\w+.\-]*://")
_PARAMETERS = re.compile(r"[?#].*", re.DOTALL)
_PARAMETER = re.compile(r"(?<=[?&;#])([^=&;#]*=)?[^&;#]*")

HIDDEN = "********"


@dataclass(frozen=True, slots=True)
class Problem:
    """One error in the settings."""

    setting: str
    """Dotted name, or empty where the source as a whole is at fault."""
    source: str
    """`file:line` or the name of an environment variable."""
    detail: str

    def __str__(self) -> str:
        """Return two lines: what and where, then why."""
        heading = " · ".join(part for part in (self.setting, self.source) if part)
        return f"{heading}\n    {self.detail}"


class InvalidSettingsError(FatalError):
    """The settings cannot be used."""

    reason = "settings.invalid"
    message = "{report}"

    def __init__(self, *, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(report="\n".join([f"{count} with the settings:", *map(str, problems)]))
        self.facts = {"problems": problems}


def unknown_setting(name: str, source: str, meant: str | None) -> Problem:
    """Return the problem of a setting that does not exist, with the one that was probably meant."""
    hint = f" Did you mean {meant}?" if meant else " `modstream config --defaults` lists all."
    return Problem(name, source, f"There is no such setting.{hint}")


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known dotted name that was probably meant: by its spelling, or by its last part in another group."""
    names = list(known)
    alike = difflib.get_close_matches(name, names, n=1, cutoff=0.75)
    if alike:
        return alike[0]
    by_last_part = {path.rpartition(".")[2]: path for path in reversed(names)}
    elsewhere = difflib.get_close_matches(name.rpartition(".")[2], by_last_part, n=1, cutoff=0.8)
    return by_last_part[elsewhere[0]] if elsewhere else None


def describe_value(value: object, *, secret: bool) -> str:
    """Return the kind of a value and, unless it is secret, the value."""
    kind = _KINDS.get(type(value), type(value).__name__)
    if value is None or secret:
        return f"{kind} (hidden)" if secret else kind
    text = str(hide_credentials(value))
    shown = text if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + "…"
    return f'{kind} "{shown}"' if isinstance(value, str) else f"{kind} {shown}"


def without_credentials(text: str) -> str:
    """Hide what may be secret in an address: user and password, whatever they hold, and the values of parameters.

    All in front of the last @ is taken for a user: a password may hold any character. Other text stays as it is.
    """
    scheme = _SCHEME.match(text)
    start = scheme.end() if scheme else 0
    user, at, rest = text[start:].rpartition("@")
    if at and (scheme or ":" in user):
        text = f"{text[:start]}{HIDDEN}@{rest}"
    if scheme or at:
        text = _PARAMETERS.sub(lambda found: _PARAMETER.sub(_hidden_value, found[0]), text)
    return text


def _hidden_value(parameter: re.Match[str]) -> str:
    """Keep the name of a parameter, and a value that is filled in later."""
    name, whole = parameter[1] or "", parameter[0]
    value = whole.removeprefix(name)
    return whole if value in {"", TRACE_ID_PLACE} else f"{name}{HIDDEN}"


def hide_credentials(value: object) -> object:
    """Return a value with `without_credentials` applied to every text in it."""
    match value:
        case str():
            # A text may be a list with commas, as in the environment; a comma may be a part of a password, too.
            parts = re.split(r",(?=\s*[\w+.\-]*://)|,(?=[^,@]*:[^,@]*@)", value)
            return ",".join(without_credentials(part) for part in parts)
        case list() | tuple():
            return [hide_credentials(item) for item in value]
        case dict():
            return {key: hide_credentials(item) for key, item in value.items()}
    return value


_KINDS: dict[type, str] = {
    type(None): "nothing",
    bool: "the truth value",
    int: "the number",
    float: "the number",
    str: "the text",
    list: "the list",
    dict: "the group",
}
