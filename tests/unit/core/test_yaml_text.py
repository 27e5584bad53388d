"""A YAML text of any kind is read into bounded data, or is a YAML error with its line."""

from datetime import date

import pytest
import yaml

from service.core import yaml_text


def bomb(first: str, *, rounds: int, repeated: int) -> str:
    """Return a list whose every value stands for the one before it several times."""
    values = [f"&a0 {first}"]
    values += [f"&a{n} [{', '.join([f'*a{n - 1}'] * repeated)}]" for n in range(1, rounds)]
    return f"[{', '.join(values)}]"


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-30",
        "0b_",
        "9" * 5000,
        "!!bool maybe",
        '!!int ""',
        "!!float x",
        "!!timestamp x",
        '"\\ud800"',
        "{[a]: 1}",
    ],
)
def test_a_value_that_python_cannot_hold_is_an_error_with_its_line(text: str) -> None:
    with pytest.raises(yaml.MarkedYAMLError) as caught:
        yaml_text.load(f"a: 1\nb: {text}\n")
    assert caught.value.problem_mark is not None
    assert caught.value.problem_mark.line == 1


@pytest.mark.parametrize("first", ["[x, x]", "{p: x, q: x}"])
def test_aliases_stand_for_a_bounded_number_of_values(first: str) -> None:
    with pytest.raises(yaml.MarkedYAMLError, match="aliases stand for more than 10,000 values"):
        yaml_text.load(bomb(first, rounds=30, repeated=9))


@pytest.mark.parametrize("text", ["&a [*a]", "&a {x: *a}", "&a {x: [{y: *a}]}"])
def test_a_value_does_not_hold_itself(text: str) -> None:
    with pytest.raises(yaml.MarkedYAMLError, match="an alias stands inside of what it stands for"):
        yaml_text.load(text)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "{a: " * 2000 + "1" + "}" * 2000, bomb("[x]", rounds=200, repeated=1)],
    ids=["lists", "mappings", "through aliases"],
)
def test_levels_are_bounded(text: str) -> None:
    with pytest.raises(yaml.MarkedYAMLError, match="more than 64 levels"):
        yaml_text.load(text)


def test_a_text_of_any_length_is_refused_before_it_is_read() -> None:
    with pytest.raises(yaml.MarkedYAMLError, match="more than 1,048,576 characters"):
        yaml_text.load("a," * 50_000_000)


def test_anchors_and_merged_mappings_are_read_as_yaml_says() -> None:
    text = "base: &base {a: 1, b: [2]}\nown:\n  <<: *base\n  a: 3\nsame: *base\n"
    assert yaml_text.load(text) == {"base": {"a": 1, "b": [2]}, "own": {"a": 3, "b": [2]}, "same": {"a": 1, "b": [2]}}


def test_an_empty_text_has_no_value() -> None:
    assert yaml_text.load("# nothing\n") is None
    assert yaml_text.compose("") is None


def test_a_text_is_read_alike_whatever_other_libraries_change_in_pyyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(yaml.SafeLoader.yaml_constructors, "tag:yaml.org,2002:timestamp", lambda _, node: node.value)
    assert yaml_text.load("2024-02-29") == date(2024, 2, 29)
    with pytest.raises(yaml.YAMLError):
        yaml_text.load("2024-02-30")
