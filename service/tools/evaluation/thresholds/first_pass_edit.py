"""Writes a policy with other thresholds of its first pass: the rest of the text stays as it is, but for its version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from service.core import yaml_text
from service.core.documents import parse_document
from service.core.validation_text import placed_text_of
from service.policy.errors import PolicyFileError
from service.policy.policy import Policy
from service.tools.evaluation.thresholds.policy_edit import (
    Edit,
    PolicyNotWrittenError,
    applied,
    entry,
    number,
    solved_comments,
    version_edit,
)

_KEY = "clear_below"


@dataclass(frozen=True, slots=True)
class NewFirstPass:
    """The new thresholds of a first pass, and why they are these."""

    clear_below: Mapping[str, float]
    """By category."""
    comments: Sequence[str]
    """Written above them, a line each."""

    def key(self) -> str:
        """Return the entry of a policy's `first_pass`, ready to be pasted below it."""
        return f"  {_KEY}:\n" + "".join(f"    {name}: {number(below)}\n" for name, below in self.clear_below.items())


def with_first_pass(path: Path, content: bytes, new: NewFirstPass, *, version: str) -> str:
    """Return a policy's text with new thresholds of its first pass and a new version; the file has a first pass.

    Raises `PolicyNotWrittenError` where the text has them in a place that others share.
    """
    text = content.decode()
    root = yaml_text.compose(text)
    _, first_pass = entry(path, root, "first_pass")
    key, value = entry(path, first_pass, _KEY)
    is_flow = isinstance(first_pass, yaml.MappingNode) and first_pass.flow_style
    edits = [version_edit(path, root, version), Edit(key.end_mark.index, _end(value), _written(new, key, flow=is_flow))]
    if not is_flow:
        edits += solved_comments(text, key, new.comments)
    return applied(text, edits)


def check_first_pass(path: Path, text: str, before: Policy, new: NewFirstPass, *, version: str) -> None:
    """Raise `PolicyNotWrittenError` unless a text is the policy as it was, with the new first pass and version."""
    document = parse_document(path, text.encode(), PolicyFileError)
    content = document.content if isinstance(document.content, dict) else {}
    first_pass = before.first_pass
    try:
        # A schema of attributes is another file, which nothing here changes.
        found = Policy.model_validate(
            {**(content if isinstance(content, dict) else {}), "attributes": before.attributes}
        )
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise PolicyNotWrittenError(path=path, detail=f"it would be no policy: {placed_text_of(fault)}") from None
    wanted = first_pass and first_pass.model_copy(update={"clear_below": dict(new.clear_below)})
    if found != before.model_copy(update={"version": version, "first_pass": wanted}):
        detail = (
            "the first pass cannot be written into it without changing another part: write it without YAML's anchors"
        )
        raise PolicyNotWrittenError(path=path, detail=detail)


def _written(new: NewFirstPass, key: yaml.Node, *, flow: bool) -> str:
    entries = [f"{name}: {number(below)}" for name, below in new.clear_below.items()]
    if flow:
        return f": {{{', '.join(entries)}}}"
    indent = " " * (key.start_mark.column + 2)
    return ":" + "".join(f"\n{indent}{each}" for each in entries)


def _end(value: yaml.Node) -> int:
    """Return where a value ends; a block mapping's own mark is where the next key begins."""
    if isinstance(value, yaml.MappingNode) and not value.flow_style and value.value:
        return _end(value.value[-1][1])
    end: int = value.end_mark.index
    return end
