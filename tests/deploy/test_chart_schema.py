"""The schema of the chart's values: complete, and without a place for secrets."""

import json
from typing import Any

import jsonschema
import pytest
import yaml

from scripts.chart.rendering import cases
from scripts.chart.values_schema import CHART, values_schema
from service.settings.catalogue import catalogue

SCHEMA = json.loads(values_schema())


def described(schema: dict[str, Any], path: str = "") -> set[str]:
    """Return the dotted names of the settings that a part of the schema has a place for."""
    schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if "properties" not in schema:
        return {path}
    inner = schema["properties"].items()
    return {name for key, value in inner for name in described(value, f"{path}.{key}".lstrip("."))}


def merged(values: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return values with those that are given over them, as helm does it."""
    inner = {
        name: merged(values[name], value)
        for name, value in given.items()
        if isinstance(value, dict) and isinstance(values.get(name), dict)
    }
    return values | given | inner


def test_the_schema_is_written_anew_with_make_chart() -> None:
    assert (CHART / "values.schema.json").read_text(encoding="utf-8") == values_schema()


def test_every_setting_of_the_service_has_a_place_unless_it_is_secret() -> None:
    open_settings = {setting.path for setting in catalogue().values() if not setting.secret}
    assert described(SCHEMA["properties"]["settings"]) == open_settings
    assert len(open_settings) < len(catalogue())


def test_every_value_of_the_chart_has_a_place() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    assert values.keys() == SCHEMA["properties"].keys() - {"global"}


@pytest.mark.parametrize("case", cases(), ids=lambda path: path.stem)
def test_the_example_values_pass(case: Any) -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    given = merged(values, yaml.safe_load(case.read_text(encoding="utf-8")))
    jsonschema.Draft202012Validator(SCHEMA).validate(given)
