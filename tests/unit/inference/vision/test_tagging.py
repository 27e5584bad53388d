import json
import math

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.instructions import Attribute, AttributeSchema, TextLimit
from service.inference.engine import Tag
from service.inference.vision.tagging import UNKNOWN_CONFIDENCE, json_schema, longest_answer, read_tags
from service.inference.vision.token_model import GeneratedText
from testing.asking import GOODS

WHOLE = '{"k":"toy","c":["red","blue"],"s":"a fine toy"}'


def values(text: str) -> dict[str, list[str]]:
    tags, _ = read_tags(GOODS, GeneratedText(text))
    return {name: [tag.value for tag in found] for name, found in tags.items()}


def is_complete(text: str) -> bool:
    return read_tags(GOODS, GeneratedText(text))[1]


def test_the_schema_describes_the_answer() -> None:
    schema = json_schema(GOODS)
    assert list(schema["properties"]) == ["k", "c", "s"]
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(json.loads(WHOLE))
    wrong = ['{"k":"car","c":[],"s":""}', '{"k":"toy","c":["red","blue","red"],"s":""}', '{"k":"toy"}']
    assert [text for text in wrong if validator.is_valid(json.loads(text))] == []


def test_a_valid_answer_is_complete() -> None:
    assert values(WHOLE) == {"kind": ["toy"], "colours": ["red", "blue"], "slogan": ["a fine toy"]}
    assert is_complete(WHOLE)


def test_no_colours_and_no_slogan_are_an_answer() -> None:
    text = '{"k":"toy","c":[],"s":""}'
    assert values(text) == {"kind": ["toy"], "colours": [], "slogan": []}
    assert is_complete(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("I cannot help with that.", {}),
        ('{"k":"toy","c":["red","bl', {"kind": ["toy"], "colours": ["red"]}),
        ('{"k":"toy","c":["red"],"s":"a fi', {"kind": ["toy"], "colours": ["red"]}),
        ('{"k":"car","c":["red"],"s":"fine"}', {"colours": ["red"], "slogan": ["fine"]}),
        ('{"k":"toy","c":["pink","red"],"s":"fine"}', {"kind": ["toy"], "colours": ["red"], "slogan": ["fine"]}),
        ('{"k":"toy","c":["red","red"],"s":"fine"}', {"kind": ["toy"], "colours": ["red"], "slogan": ["fine"]}),
        (
            '{"k":"toy","c":["red","green","blue"],"s":"fine"}',
            {"kind": ["toy"], "colours": ["red", "green"], "slogan": ["fine"]},
        ),
        (
            '{"k":"toy","c":["red"],"s":"one two three four five"}',
            {"kind": ["toy"], "colours": ["red"], "slogan": ["one two three four"]},
        ),
        ('{"k":"toy","c":["red"],"s":7}', {"kind": ["toy"], "colours": ["red"]}),
        ('{"c":["red"],"s":"fine"}', {"colours": ["red"], "slogan": ["fine"]}),
    ],
)
def test_what_is_valid_stays_and_the_rest_is_not_passed_over_in_silence(
    text: str, expected: dict[str, list[str]]
) -> None:
    assert values(text) == expected
    assert not is_complete(text)


def test_a_free_text_is_cut_at_its_limit_of_characters() -> None:
    schema = AttributeSchema("s/1", (Attribute("slogan", "s", "x", limit=TextLimit(4, "characters")),))
    assert json_schema(schema)["properties"]["s"]["maxLength"] == 4
    tags, complete = read_tags(schema, GeneratedText('{"s":"一二三四五"}'))
    assert [tag.value for tag in tags["slogan"]] == ["一二三四"]
    assert not complete


def test_a_free_text_comes_without_what_cannot_be_seen() -> None:
    assert values('{"k":"toy","c":[],"s":"fine\\n\\u202etoy\\ud800"}')["slogan"] == ["fine toy"]


def test_the_longest_answer_has_room_for_any_valid_one() -> None:
    longest = json.dumps({"k": "dress", "c": ["green", "blue"], "s": "四" * 40}, ensure_ascii=False)
    assert len(longest.replace(" ", "").encode()) <= longest_answer(GOODS) <= 2 * len(longest.encode())


def written(*pieces: tuple[str, float]) -> GeneratedText:
    return GeneratedText("".join(piece for piece, _ in pieces), [(piece, math.log(chance)) for piece, chance in pieces])


def test_a_listed_value_is_as_likely_as_its_tokens_together() -> None:
    tags, _ = read_tags(GOODS, written(('{"k":"', 0.1), ("dr", 0.5), ("ess", 0.8), ('","c":[],"s":""}', 0.1)))
    assert tags["kind"][0].confidence == pytest.approx(0.4)


def test_a_token_that_holds_more_than_the_value_counts() -> None:
    tags, _ = read_tags(GOODS, written(('{"k":', 0.1), ('"toy"', 0.7), (',"c":[],"s":""}', 0.1)))
    assert tags["kind"][0].confidence == pytest.approx(0.7)


def test_a_free_text_has_the_mean_of_its_tokens() -> None:
    tags, _ = read_tags(GOODS, written(('{"k":"toy","c":[],"s":"', 0.1), ("fine", 0.9), (" toy", 0.4), ('"}', 0.1)))
    assert tags["slogan"][0].confidence == pytest.approx(0.6)


def test_values_come_surest_first() -> None:
    pieces = [('{"k":"toy","c":["', 1.0), ("red", 0.2), ('","', 1.0), ("blue", 0.9), ('"],"s":""}', 1.0)]
    tags, complete = read_tags(GOODS, written(*pieces))
    assert [tag.value for tag in tags["colours"]] == ["blue", "red"]
    assert complete


@pytest.mark.parametrize("pieces", [(), [("other text", -0.1)]])
def test_a_probability_that_the_model_does_not_report_is_not_made_up(pieces: list[tuple[str, float]]) -> None:
    tags, _ = read_tags(GOODS, GeneratedText(WHOLE, pieces))
    assert tags["kind"] == (Tag("toy", UNKNOWN_CONFIDENCE),)


def test_what_stands_before_a_broken_character_is_still_known() -> None:
    text = '{"k":"toy","c":[],"s":"冏"}'
    pieces = [('{"k":"', 1.0), ("toy", 0.7), ('","c":[],"s":"', 1.0), ("\ufffd", 0.3), ("\ufffd", 0.3), ('"}', 1.0)]
    tags, complete = read_tags(GOODS, GeneratedText(text, [(piece, math.log(chance)) for piece, chance in pieces]))
    assert tags["kind"][0].confidence == pytest.approx(0.7)
    assert tags["slogan"] == (Tag("冏", UNKNOWN_CONFIDENCE),)
    assert complete


def test_a_token_that_ends_the_answer_is_no_part_of_it() -> None:
    pieces = [('{"k":"', 0.0), ("toy", math.log(0.7)), ('","c":[],"s":""}', 0.0), ("<|im_end|>", -3.0)]
    tags, _ = read_tags(GOODS, GeneratedText('{"k":"toy","c":[],"s":""}', pieces))
    assert tags["kind"][0].confidence == pytest.approx(0.7)


@given(st.integers(0, len(WHOLE)))
def test_an_answer_may_be_cut_off_anywhere(end: int) -> None:
    expected = {"kind": ["toy"], "colours": ["red", "blue"], "slogan": ["a fine toy"]}
    assert all(each == expected[name][: len(each)] for name, each in values(WHOLE[:end]).items())
    assert is_complete(WHOLE[:end]) == (end == len(WHOLE))


@given(st.lists(st.sampled_from(['"', "{", "}", "[", "]", ":", ",", "k", "c", "s", "toy", "red", "\\", " ", "é"])))
def test_whatever_is_written_only_valid_tags_come_out(parts: list[str]) -> None:
    text = "".join(parts)
    found = values(text)
    assert set(found.get("kind", ())) <= {"toy", "tool", "dress"}
    assert set(found.get("colours", ())) <= {"red", "green", "blue"}
    assert not is_complete(text) or found.keys() == {"kind", "colours", "slogan"}
