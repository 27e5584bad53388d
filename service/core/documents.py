"""Reads YAML files into checked models, and reports every problem with its line."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from service.core import yaml_text
from service.core.errors import FatalError
from service.core.validation_text import text_of

Model = TypeVar("Model", bound=BaseModel)
Found = TypeVar("Found")

Location = tuple[int | str, ...]
"""A part of a document: keys and positions from its root."""

# Each leaves out what the one before found; rules are nested less deeply.
_MAX_ROUNDS = 5

_MAX_FAULTS = 100
"""A file with more is of another kind, and the place of each takes time in proportion to the file."""

MAX_BYTES = 1024 * 1024
"""YAML of this size takes seconds to read; `yaml_text` has the same limit in characters."""

Read = Callable[[Path], bytes]
"""Returns the content of a file, or the first of one that is too large; raises `OSError`."""


class FileError(Protocol):
    """Makes the error of a kind of file; its facts are these three."""

    def __call__(self, *, path: Path, line: int, detail: str) -> FatalError:
        """Return the error for one problem."""
        ...


@dataclass(frozen=True, slots=True)
class Checked(Generic[Found]):
    """The result of reading a file: the model, or every problem."""

    found: Found | None
    problems: tuple[FatalError, ...] = ()
    salvaged: Found | None = None
    """What is right of a file with problems, to look for further ones; None if too little is."""

    def result(self) -> Found:
        """Return the model; raise the first problem if there is none."""
        if self.found is None:
            raise self.problems[0]
        return self.found


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file's content, and its nodes with their lines."""

    path: Path
    root: yaml.Node
    content: object
    error: FileError

    def problem(self, detail: str, *location: str | int) -> FatalError:
        """Return the error for a part of the file, with its line."""
        where = ".".join(str(step) for step in location)
        line = _line_of(self.root, location)
        return self.error(path=self.path, line=line, detail=f"{where}: {detail}" if where else detail)

    def check(self, model: type[Model]) -> Checked[Model]:
        """Return the content as a model, or all that is wrong with it.

        Rules that hold several parts against each other are only checked where the parts are right, so what is wrong
        is left out and the rest checked again, until nothing new comes up.
        """
        problems, content, checked = list(self._repeated_keys()), self.content, None
        reported: list[Location] = []
        for _ in range(_MAX_ROUNDS):
            try:
                checked = model.model_validate(content)
            except ValidationError as invalid:
                faults = [
                    fault for fault in invalid.errors(include_url=False) if not _is_reported(fault["loc"], reported)
                ]
            else:
                break
            if not faults:
                break
            problems += [self.problem(text_of(fault), *fault["loc"]) for fault in faults[:_MAX_FAULTS]]
            if len(faults) > _MAX_FAULTS:
                break
            reported += [fault["loc"] for fault in faults]
            content = _without(content, reported)
        return Checked(None, tuple(problems), salvaged=checked) if problems else Checked(checked)

    def _repeated_keys(self) -> Iterator[FatalError]:
        """YAML readers let the last of two equal keys win in silence, which hides a rule."""
        for line, key in _repeated_keys(self.root):
            yield self.error(path=self.path, line=line, detail=f"{key!r} stands there twice")


def read_bounded(path: Path) -> bytes:
    """Return the content of a file, or of one that is too large no more than shows it; raises `OSError`."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def open_document(path: Path, error: FileError, read: Read = read_bounded) -> Document:
    """Read a YAML file; raise an error of the given kind if it is not valid YAML."""
    try:
        content = read(path)
    except OSError as refusal:
        raise error(path=path, line=1, detail=f"the file cannot be read: {refusal.strerror}") from refusal
    return parse_document(path, content, error)


def parse_document(path: Path, content: bytes, error: FileError) -> Document:
    """Return the document that a file's bytes hold; raise an error of the given kind if they are not valid YAML."""
    if len(content) > MAX_BYTES:
        raise error(path=path, line=1, detail=f"the file has more than {MAX_BYTES:,} bytes")
    try:
        text = content.decode()
        root, value = yaml_text.compose(text), yaml_text.load(text)
    except yaml.MarkedYAMLError as fault:
        line = fault.problem_mark.line + 1 if fault.problem_mark else 1
        raise error(path=path, line=line, detail=f"this is not YAML: {fault.problem}") from fault
    except (UnicodeDecodeError, yaml.YAMLError) as fault:
        raise error(path=path, line=1, detail="the file is no YAML text in UTF-8") from fault
    if root is None:
        raise error(path=path, line=1, detail="the file is empty")
    return Document(path, root, value, error)


def check_document(path: Path, model: type[Model], error: FileError) -> Checked[Model]:
    """Return a file as a model, or its problems."""
    try:
        return open_document(path, error).check(model)
    except FatalError as problem:
        return Checked(None, (problem,))


def _is_reported(location: Location, reported: Sequence[Location]) -> bool:
    """Return whether a part, something inside it, or what it is a part of is known to be wrong."""
    return any(location[: len(other)] == other or other[: len(location)] == location for other in reported)


def _without(value: object, locations: Sequence[Location]) -> object:
    """Return a document's content without some of its parts."""
    if not locations or not isinstance(value, dict | list):
        return value
    items = value.items() if isinstance(value, dict) else enumerate(value)
    kept = {
        step: _without(inner, [location[1:] for location in locations if location[:1] == (step,)])
        for step, inner in items
        if (step,) not in locations
    }
    return kept if isinstance(value, dict) else list(kept.values())


def _repeated_keys(node: yaml.Node) -> Iterator[tuple[int, str]]:
    if isinstance(node, yaml.SequenceNode):
        for entry in node.value:
            yield from _repeated_keys(entry)
    if not isinstance(node, yaml.MappingNode):
        return
    seen = set()
    for key, value in node.value:
        if key.value in seen:
            yield key.start_mark.line + 1, key.value
        seen.add(key.value)
        yield from _repeated_keys(value)


def _line_of(node: yaml.Node, location: Location) -> int:
    """Return the line of the deepest part of a location that the file has."""
    line = node.start_mark.line + 1
    for step in location:
        # Between the keys pydantic names the kind that it took a part for, which stands nowhere in the file.
        if (found := _child(node, step)) is not None:
            line, node = found
    return line


def _child(node: yaml.Node, step: int | str) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key.start_mark.line + 1, value) for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        entry = node.value[step]
        return entry.start_mark.line + 1, entry
    return None
