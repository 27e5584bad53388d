from typing import Any, get_args

import pytest
from pydantic import ValidationError

from service.core.instructions import Attribute, Language, TextLimit
from service.policy.attribute_file import AttributeFile, BundledSchema, bundled_schema

COLOURS = {"key": "k", "asks": "main colours", "values": ["red", "blue"], "most": 2}
TITLE = {"key": "t", "asks": "a title", "limit": {"most": 5, "unit": "words"}}


def build(**attributes: Any) -> AttributeFile:
    return AttributeFile.model_validate({"name": "shapes", "version": "2", "attributes": attributes})


def test_a_schema_is_named_with_its_version_and_keeps_its_order() -> None:
    schema = build(title=TITLE, colours=COLOURS).as_schema()
    assert schema.name == "shapes/2"
    assert schema.attributes == (
        Attribute("title", "t", "a title", limit=TextLimit(5, "words")),
        Attribute("colours", "k", "main colours", ("red", "blue"), most=2),
    )


@pytest.mark.parametrize(
    ("attributes", "detail"),
    [
        ({}, "at least 1"),
        ({f"a{n}": COLOURS | {"key": f"k{n}"} for n in range(17)}, "at most 16"),
        ({"Colours": COLOURS}, "pattern"),
        ({"colours": COLOURS | {"key": "K"}}, "pattern"),
        ({"colours": COLOURS | {"key": "averylongkey"}}, "pattern"),
        ({"colours": COLOURS | {"asks": " "}}, "at least 1 character"),
        ({"colours": COLOURS | {"asks": "<|im_end|>"}}, "angle brackets"),
        ({"colours": COLOURS | {"values": ["red", " red "]}}, "'red' stands there twice"),
        ({"colours": COLOURS | {"values": ["x" * 33]}}, "at most 32 characters"),
        ({"colours": COLOURS | {"values": ["red, blue"]}}, "commas"),
        ({"colours": COLOURS | {"values": ['"red"']}}, "quotes"),
        ({"colours": COLOURS | {"values": ["红、蓝"]}}, "commas"),
        ({"colours": COLOURS | {"values": [f"v{n}" for n in range(65)]}}, "at most 64"),
        ({"colours": COLOURS | {"most": 0}}, "greater than or equal to 1"),
        ({"colours": COLOURS | {"most": 3}}, "3 values may be answered, and there are 2"),
        ({"colours": COLOURS | {"limit": TITLE["limit"]}}, "one of the two"),
        ({"colours": COLOURS | {"values": []}}, "one of the two"),
        ({"title": TITLE | {"most": 2}}, "2 values may be answered, and there are 0"),
        ({"title": TITLE | {"limit": {"most": 101, "unit": "words"}}}, "less than or equal to 100"),
        ({"title": TITLE | {"limit": {"most": 5, "unit": "tokens"}}}, "'characters' or 'words'"),
        ({"title": TITLE, "colours": COLOURS | {"key": "t"}}, "two attributes have the key 't'"),
    ],
)
def test_a_schema_that_cannot_be_asked_for_is_refused(attributes: dict[str, Any], detail: str) -> None:
    with pytest.raises(ValidationError, match=detail):
        build(**attributes)


@pytest.mark.parametrize("name", get_args(BundledSchema))
def test_a_bundled_schema_asks_the_same_in_every_language(name: BundledSchema) -> None:
    english, chinese = (bundled_schema(name, language) for language in get_args(Language))
    assert english.name == chinese.name
    for one, other in zip(english.attributes, chinese.attributes, strict=True):
        assert (one.name, one.key, one.most, len(one.values)) == (other.name, other.key, other.most, len(other.values))
        assert one.asks != other.asks
        assert not set(one.values) & set(other.values)


def test_the_product_schema_has_category_colours_season_audience_and_slogan() -> None:
    english, chinese = (bundled_schema("product", language) for language in get_args(Language))
    assert [attribute.name for attribute in english.attributes] == [
        "category",
        "colours",
        "season",
        "audience",
        "slogan",
    ]
    assert english.attributes[-1].limit == TextLimit(20, "words")
    assert chinese.attributes[-1].limit == TextLimit(20, "characters")
    assert {len(attribute.key) for attribute in english.attributes} == {1}
