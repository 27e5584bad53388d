"""One policy file, and the file of attributes that it may name, to a policy."""

from dataclasses import replace
from pathlib import Path
from typing import get_args

from service.core.documents import Checked, Document, Read, open_document, read_bounded
from service.core.file_kinds import ATTRIBUTES, POLICY, other_kind_hint
from service.core.instructions import AttributeSchema
from service.policy.attribute_file import AttributeFile, BundledSchema
from service.policy.errors import PolicyFileError
from service.policy.policy import Policy

ATTRIBUTES_SUFFIX = ".attributes"
"""A file such as `shoes.attributes.yaml` in a folder of policies is none."""

_FIELD = "attributes"


def check_policy(path: Path, read: Read = read_bounded) -> Checked[Policy]:
    """Return a file's policy, or every problem with it and with its attributes."""
    try:
        document = open_document(path, PolicyFileError, read)
    except PolicyFileError as problem:
        return Checked(None, (problem,))
    content = document.content
    if (hint := other_kind_hint(content, POLICY)) is not None:
        return Checked(None, (document.problem(hint),))
    if not isinstance(content, dict) or content.get(_FIELD) in (None, *get_args(BundledSchema)):
        return document.check(Policy)
    schema = _own_schema(document, content[_FIELD], read)
    policy = replace(document, content={**content, _FIELD: schema.found}).check(Policy)
    problems = (*policy.problems, *schema.problems)
    return Checked(None, problems, salvaged=policy.found or policy.salvaged) if problems else policy


def _own_schema(document: Document, named: object, read: Read) -> Checked[AttributeSchema]:
    path = document.path.parent / str(named)
    fault = _reading_fault(path, read) if isinstance(named, str) else "no name"
    if fault is not None:
        bundled = ", ".join(get_args(BundledSchema))
        detail = f"neither a bundled schema ({bundled}) nor a file beside the policy: {named} ({fault})"
        return Checked(None, (document.problem(detail, _FIELD),))
    table = _checked_attributes(path, read)
    return Checked(table.found.as_schema() if table.found else None, table.problems)


def _reading_fault(path: Path, read: Read) -> str | None:
    """Return why a file cannot be read; None if it can."""
    try:
        read(path)
    except OSError as error:
        return error.strerror
    except ValueError:  # a zero byte, or half of a pair of surrogates
        return "no name of a file"
    return None


def _checked_attributes(path: Path, read: Read) -> Checked[AttributeFile]:
    try:
        document = open_document(path, PolicyFileError, read)
    except PolicyFileError as problem:
        return Checked(None, (problem,))
    hint = other_kind_hint(document.content, ATTRIBUTES)
    return document.check(AttributeFile) if hint is None else Checked(None, (document.problem(hint),))
