"""The schema of the chart's values: the chart's own part, and the service's settings without their secrets."""

import json
from pathlib import Path
from typing import Any

import yaml

from service.settings.settings import Settings

CHART = Path(__file__).parents[2] / "deploy" / "chart"
OWN_PART = Path(__file__).parent / "values.schema.yaml"

Schema = dict[str, Any]

# Names and defaults are pydantic's habit, and helm shows neither.
_NOISE = ("title", "default")


def values_schema() -> str:
    """Return the text of values.schema.json."""
    own: Schema = yaml.safe_load(OWN_PART.read_text(encoding="utf-8"))
    settings = _tidied(Settings.model_json_schema())
    definitions = settings.pop("$defs")
    own["properties"]["settings"] = settings
    own["$defs"] |= definitions
    return json.dumps(own, indent=1, ensure_ascii=False) + "\n"


def _tidied(schema: Schema) -> Schema:
    """Drop secrets, which are refused by that, and noise."""
    kept = {name: value for name, value in schema.items() if name not in _NOISE}
    if "properties" in kept:
        properties = kept["properties"].items()
        kept["properties"] = {name: _tidied(value) for name, value in properties if not _is_secret(value)}
    if "$defs" in kept:
        kept["$defs"] = {name: _tidied(value) for name, value in kept["$defs"].items()}
    return kept


def _is_secret(schema: Schema) -> bool:
    return any(choice.get("writeOnly") for choice in (schema, *schema.get("anyOf", ())))
