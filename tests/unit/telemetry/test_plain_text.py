"""No text of a stranger steers a terminal, forges a line or goes on for ever."""

import json
import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from service.telemetry.plain_text import cut, escaped, escaped_json, escaped_lines, one_line

ESCAPED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
anything = st.text(st.characters(exclude_categories=()) | st.sampled_from("\x1b\x9b\u202e\u2066\n\r\t\ud800:/@"))


def test_every_character_that_is_no_plain_one_is_escaped_and_no_other() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if (category := unicodedata.category(character)) != "Cn":  # releases of Unicode assign what is free
            assert (escaped(character) == character) is (category not in ESCAPED), hex(code)


def test_line_ends_and_tabs_stay_where_lines_are_wanted() -> None:
    assert escaped_lines("a\n\tb\r\x1b[2J") == "a\n\tb\\r\\x1b[2J"
    assert one_line("a\n\tb") == "a\\n\\tb"


@given(anything, st.integers(1, 50))
def test_a_line_is_plain_and_no_longer_than_wanted(text: str, at_most: int) -> None:
    line = one_line(text, at_most=at_most)
    assert len(line) <= at_most + 1
    assert not any(unicodedata.category(character) in ESCAPED for character in line)


@given(st.recursive(anything, lambda inner: st.lists(inner) | st.dictionaries(anything, inner), max_leaves=5))
def test_json_means_the_same_escaped(value: object) -> None:
    text = escaped_json(json.dumps(value, ensure_ascii=False, indent=2))
    assert json.loads(text) == value
    assert not any(unicodedata.category(character) in ESCAPED - {"Cc"} for character in text)
    assert "\x1b" not in text


def test_no_half_of_a_url_is_left() -> None:
    assert cut("see https://user:secret@host/x now", 20) == "see https://"
    assert cut("see https://host/x now, and wait", 25) == "see https://host/x now, a"
    assert cut("short https://u:p@h", 50) == "short https://u:p@h"


def test_a_million_characters_cost_no_more_than_their_beginning() -> None:
    assert one_line("a" * 10_000_000, at_most=10) == "a" * 10 + "…"
