"""What commands know, as JSON for scripts, without characters that would steer a terminal."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date

from service.telemetry.plain_text import escaped_json

# Spaces a step inwards.
INDENT = 2


def as_json(value: object) -> str:
    """Return frozen dataclasses, mappings and lists as JSON; a number without end is null."""
    return escaped_json(json.dumps(_plain(value), ensure_ascii=False, indent=INDENT))


def as_json_line(value: object) -> str:
    """Return the same on one line, for a stream of them."""
    return escaped_json(json.dumps(_plain(value), ensure_ascii=False))


def _plain(value: object) -> object:
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, date):
        return str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
