import json

import jsonschema
import pytest

from service.inference.vision.explaining import json_schema, read_explanations

ASKED = ("weapons", "alcohol")


def read(text: str) -> dict[str, str]:
    return dict(read_explanations(text, ASKED, max_chars=20))


def test_the_schema_describes_the_answer() -> None:
    schema = json_schema(ASKED, max_chars=20)
    validator = jsonschema.Draft202012Validator(schema)
    assert list(schema["properties"]) == list(ASKED)
    assert validator.is_valid({"weapons": "a knife", "alcohol": "a glass of wine"})
    assert not validator.is_valid({"weapons": "a knife"})
    assert not validator.is_valid({"weapons": "a knife" * 20, "alcohol": ""})


def test_every_category_gets_its_words() -> None:
    text = '{"weapons":"a knife","alcohol":"a glass of wine"}'
    assert read(text) == {"weapons": "a knife", "alcohol": "a glass of wine"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("It is a knife.", {}),
        ('{"weapons":"a knife","alcohol":"a gla', {"weapons": "a knife"}),
        ('{"weapons":"","alcohol":"\\u200b"}', {}),
        ('{"weapons":3,"alcohol":[]}', {}),
    ],
)
def test_what_is_broken_or_empty_is_left_out(text: str, expected: dict[str, str]) -> None:
    assert read(text) == expected


def test_categories_that_were_not_asked_about_are_dropped() -> None:
    assert read('{"gambling":"dice","weapons":"a knife"}') == {"weapons": "a knife"}


def test_words_are_bounded_and_hold_nothing_unseen() -> None:
    said = json.dumps({"weapons": "\x1b[31mA\u202e\n" + "k" * 100})
    assert read(said) == {"weapons": "[31mA " + "k" * 14}
