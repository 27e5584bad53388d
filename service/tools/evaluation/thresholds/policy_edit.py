"""Writes a policy with other thresholds: the text stays as it is but for its version, the thresholds and comments.

Numbers are replaced where they stand in the file, so that comments, definitions and the order of everything else are
kept. The result is read as the service reads it and compared with what was wanted before it counts.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from service.core import yaml_text
from service.core.documents import parse_document
from service.core.errors import FatalError
from service.core.validation_text import placed_text_of
from service.policy.errors import PolicyFileError
from service.policy.policy import OUTCOMES, Policy
from service.telemetry.plain_text import one_line

MAX_COMMENT = 400
"""Characters of a comment line."""

_MARK = "# solved: "
"""Begins a comment that the next solution replaces."""


class PolicyNotWrittenError(FatalError):
    """New thresholds cannot be written into the text of a policy."""

    reason = "thresholds.policy_not_written"
    message = "{path}: {detail}"


@dataclass(frozen=True, slots=True)
class NewRule:
    """The new thresholds of one category, and why they are these."""

    thresholds: Mapping[str, float]
    """By outcome; outcomes that are left out stay as they are."""
    comments: Sequence[str]
    """Written above the category, a line each."""


@dataclass(frozen=True, slots=True)
class Edit:
    """A part of the text, by its first character and the one behind its last, and what takes its place."""

    start: int
    end: int
    text: str


def with_thresholds(path: Path, content: bytes, rules: Mapping[str, NewRule], *, version: str) -> str:
    """Return a policy's text with new thresholds and a new version; the file has to be a right policy.

    Raises `PolicyNotWrittenError` where the text shares parts between rules, so that one cannot be changed alone.
    """
    text = content.decode()
    root = yaml_text.compose(text)
    return applied(text, [*_edits(path, root, text, rules, version)])


def applied(text: str, edits: Iterable[Edit]) -> str:
    """Return a text with edits that do not overlap."""
    for edit in sorted(edits, key=lambda each: each.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def version_edit(path: Path, root: yaml.Node | None, version: str) -> Edit:
    """Return the edit that sets a policy's version."""
    _, old_version = entry(path, root, "version")
    return Edit(old_version.start_mark.index, old_version.end_mark.index, _quoted(version))


def solved_comments(text: str, key: yaml.Node, comments: Sequence[str]) -> Iterator[Edit]:
    """Yield the edit that writes comments above a key, in place of those of an earlier solution."""
    line_start = text.rfind("\n", 0, key.start_mark.index) + 1
    indent = text[line_start : key.start_mark.index]
    if not indent.strip():
        lines = "".join(f"{indent}{_MARK}{one_line(line, at_most=MAX_COMMENT)}\n" for line in comments)
        yield Edit(_without_earlier_comments(text, line_start), line_start, lines)


def check_written(path: Path, text: str, before: Policy, rules: Mapping[str, NewRule], *, version: str) -> None:
    """Raise `PolicyNotWrittenError` unless a text is the policy as it was, with the new thresholds and version."""
    document = parse_document(path, text.encode(), PolicyFileError)
    categories = {
        name: rule.model_copy(update=dict(rules[name].thresholds)) if name in rules else rule
        for name, rule in before.categories.items()
    }
    content = document.content if isinstance(document.content, dict) else {}
    try:
        # A schema of attributes is another file, which nothing here changes.
        found = Policy.model_validate({**content, "attributes": before.attributes})
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise PolicyNotWrittenError(path=path, detail=f"it would be no policy: {placed_text_of(fault)}") from None
    if found != before.model_copy(update={"version": version, "categories": categories}):
        detail = "the new thresholds cannot be written into it without changing another part: give each category a rule"
        raise PolicyNotWrittenError(path=path, detail=f"{detail} of its own, without YAML's anchors")


def next_version(version: str) -> str:
    """Return a version with its last number raised by one, or with `.1` behind it."""
    found = re.fullmatch(r"(.*?)(\d{1,9})", version, re.DOTALL)
    return f"{found[1]}{int(found[2]) + 1}" if found else f"{version}.1"


def _edits(path: Path, root: yaml.Node | None, text: str, rules: Mapping[str, NewRule], version: str) -> Iterator[Edit]:
    yield version_edit(path, root, version)
    _, categories = entry(path, root, "categories")
    for name, rule in rules.items():
        key, mapping = entry(path, categories, name)
        yield from solved_comments(text, key, rule.comments)
        yield from _threshold_edits(path, mapping, rule)


def _without_earlier_comments(text: str, line_start: int) -> int:
    """Return where the comments of an earlier solution begin that end at a line; the line itself without any."""
    while line_start:
        above = text.rfind("\n", 0, line_start - 1) + 1
        if not text[above:line_start].lstrip().startswith(_MARK):
            break
        line_start = above
    return line_start


def _threshold_edits(path: Path, mapping: yaml.Node, rule: NewRule) -> Iterator[Edit]:
    if not isinstance(mapping, yaml.MappingNode):
        raise PolicyNotWrittenError(path=path, detail="a rule that is no mapping has no thresholds to change")
    values = {key.value: value for key, value in mapping.value}
    missing = []
    for outcome in OUTCOMES:
        if outcome not in rule.thresholds:
            continue
        if outcome in values:
            node = values[outcome]
            yield Edit(node.start_mark.index, node.end_mark.index, number(rule.thresholds[outcome]))
        else:
            missing.append(f"{outcome}: {number(rule.thresholds[outcome])}")
    if missing:
        yield _insertion(mapping, missing)


def _insertion(mapping: yaml.MappingNode, entries: Sequence[str]) -> Edit:
    """Return the edit that puts entries first in a mapping."""
    if mapping.flow_style:
        place = mapping.start_mark.index + 1
        return Edit(place, place, ", ".join(entries) + (", " if mapping.value else ""))
    first = mapping.value[0][0].start_mark
    return Edit(first.index, first.index, "".join(f"{entry}\n{' ' * first.column}" for entry in entries))


def entry(path: Path, node: yaml.Node | None, name: str) -> tuple[yaml.Node, yaml.Node]:
    """Return key and value of a mapping's entry; raise `PolicyNotWrittenError` where the text has none of that name."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == name:
                return key, value
    raise PolicyNotWrittenError(path=path, detail=f"{name!r} does not stand in the text by itself")


def number(threshold: float) -> str:
    """Return a threshold as YAML reads it as a number: `1e-05` would be a text."""
    written = f"{threshold:.15f}".rstrip("0")
    return written + "0" if written.endswith(".") else written


def _quoted(version: str) -> str:
    return '"' + version.replace("\\", "\\\\").replace('"', '\\"') + '"'
