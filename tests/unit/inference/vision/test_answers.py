import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.inference.vision.answers import plain, read_answer

WHOLE = '{"k":"toy","c":["red","blue"],"s":"a \\"fine\\" toy"}'


def texts(answer: str) -> dict[str, list[str]]:
    return {key: [each.text for each in said] for key, said in read_answer(answer).said.items()}


def test_a_whole_answer_is_read() -> None:
    assert texts(WHOLE) == {"k": ["toy"], "c": ["red", "blue"], "s": ['a "fine" toy']}
    assert read_answer(WHOLE).is_whole


def test_every_string_knows_its_place() -> None:
    for said in read_answer(WHOLE).said.values():
        for each in said:
            assert json.loads(f'"{WHOLE[each.start : each.end]}"') == each.text


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("", {}),
        ("{", {}),
        ('{"k', {}),
        ('{"k":"to', {}),
        ('{"k":"toy"', {"k": ["toy"]}),
        ('{"k":"toy","c":', {"k": ["toy"]}),
        ('{"k":"toy","c":[', {"k": ["toy"], "c": []}),
        ('{"k":"toy","c":["red","bl', {"k": ["toy"], "c": ["red"]}),
        ('{"k":"toy","c":["red"]', {"k": ["toy"], "c": ["red"]}),
        ('{"k":"toy" "c":"red"}', {"k": ["toy"]}),
        ('{"k":"toy"]', {"k": ["toy"]}),
        ('{"k":{"k":"toy"}}', {}),
        ("no JSON at all", {}),
        ('["toy"]', {}),
    ],
)
def test_a_broken_answer_is_read_up_to_the_fault(answer: str, expected: dict[str, list[str]]) -> None:
    assert texts(answer) == expected
    assert not read_answer(answer).is_whole


def test_values_that_are_no_strings_are_left_out() -> None:
    assert texts('{"a":null,"b":1.5,"k":"toy","d":true}') == {"k": ["toy"]}
    assert read_answer('{"a":null}').is_whole


def test_an_empty_answer_is_whole() -> None:
    assert texts('{"c":[],"s":""}') == {"c": [], "s": [""]}
    assert read_answer(" {} ").is_whole


def test_what_surrounds_the_answer_is_passed_over() -> None:
    fenced = f"Here you are:\n```json\n{WHOLE}\n```"
    assert texts(fenced) == texts(WHOLE)
    assert read_answer(fenced).is_whole


def test_the_first_of_two_values_for_a_key_counts() -> None:
    assert texts('{"k":"toy","k":"tool"}') == {"k": ["toy"]}


@given(st.dictionaries(st.text(), st.text() | st.lists(st.text())), st.booleans())
def test_whatever_json_says_is_read(value: dict[str, str | list[str]], ascii_only: bool) -> None:
    answer = read_answer(json.dumps(value, ensure_ascii=ascii_only))
    assert answer.is_whole
    expected = {key: [each] if isinstance(each, str) else each for key, each in value.items()}
    assert {key: [each.text for each in said] for key, said in answer.said.items()} == expected


@given(st.text(alphabet='{}[]":,\\ua1 '))
def test_no_text_is_too_odd(text: str) -> None:
    read_answer(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  two\n words\t", "two words"),
        ("a\x00b\x1b[31mc", "ab[31mc"),
        ("ab\u202ecd\u200b", "abcd"),
        ("line\u2028end", "line end"),
        ("half \ud800 pair", "half pair"),
        ("茶壶", "茶壶"),
    ],
)
def test_what_cannot_be_seen_is_taken_out(text: str, expected: str) -> None:
    assert plain(text) == expected
