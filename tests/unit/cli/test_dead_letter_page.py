"""Text from uploaders cannot control the terminal of an operator who reads a dead letter, nor fill it."""

import io
import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from service.cli.as_json import as_json, as_json_line
from service.cli.dead_letter_page import page_json, print_page
from service.cli.dead_letter_tables import dead_letter_columns, dead_letter_json, group_columns, print_result
from service.client.outcomes import as_json as outcome_json
from service.client.outcomes import outcome_of
from service.core.records import SourceRecord
from service.settings.delivery import TopicSettings
from service.tools.dead_letters.dead_letter import read_dead_letter
from service.tools.dead_letters.groups import Groups
from service.tools.dead_letters.run import RunResult
from service.tools.demo.fitted_table import print_table
from testing.dead_letters import DEAD, a_dead_letter

STEERING = "\x1b[2J\x9b31m\u202e\u2066\r\x07\x00\ud800"
NAMES = [name for name, _ in a_dead_letter().headers]
values = (
    st.none()
    | st.binary()
    | st.text(st.sampled_from(STEERING + "a://'\"")).map(lambda text: text.encode(errors="surrogatepass"))
)
headers = st.lists(st.tuples(st.sampled_from(NAMES) | st.text(), values), max_size=20).map(tuple)


def written(record: SourceRecord, *, reveal: bool = False) -> str:
    """Return all that the commands write about a dead letter."""
    dead_letter, groups = read_dead_letter(record), Groups()
    groups.add(dead_letter)
    result = RunResult()
    result.reasons[dead_letter.reason] += 1
    result.refused, result.refused_shown = 1, [(dead_letter, dead_letter.truncated)]
    file = io.StringIO()
    console = Console(file=file, width=200)
    print_page(console, dead_letter, None, reveal=reveal, trace_url=None)
    print_table(console, dead_letter_columns([(dead_letter, None)], with_state=True))
    print_table(console, group_columns(groups.largest_first()))
    print_result(console, result, "refused")
    outcome = outcome_of(record, TopicSettings())
    assert outcome is not None
    for line in (
        as_json(page_json(dead_letter, None, reveal=reveal, trace_url=None)),
        as_json_line(dead_letter_json(dead_letter, None)),
        as_json_line(groups.largest_first()),
        as_json_line(outcome_json(record, outcome)),
    ):
        json.loads(line)
        file.write(line)
    return file.getvalue()


def is_plain(text: str) -> bool:
    """Return whether a terminal shows a text as it is."""
    return all(
        character == "\n" or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in text
    )


@settings(deadline=None)
@given(headers, values, values)
def test_no_character_steers_a_terminal_wherever_it_stands(reported: Any, key: bytes, value: bytes) -> None:
    assert is_plain(written(SourceRecord(DEAD, 0, 1, 0, key, value, reported)))


@pytest.mark.parametrize("name", [*NAMES, "own", STEERING])
def test_a_header_of_a_megabyte_fills_no_page(name: str) -> None:
    record = a_dead_letter(headers=())
    long = record._replace(headers=(*record.headers, (name, (STEERING + "a" * 1_000_000).encode(errors="replace"))))
    assert len(written(long)) < 100_000


def test_many_headers_long_names_keys_and_values_fill_no_page() -> None:
    record = a_dead_letter(
        value={"context": {"k" * 1_000: "v" * 100_000}, "tenant": "t" * 1_000_000, STEERING[:-1]: STEERING[:-1]},
        headers=tuple((f"{number}" + "n" * 1_000, b"v" * 10_000) for number in range(900)),
        key=b"k" * 1_000_000,
        max_bytes=100_000_000,
    )
    for reveal in (True, False):
        text = written(record, reveal=reveal)
        assert is_plain(text)
        assert len(text) < 1_000_000


def test_a_field_name_of_many_letters_is_shown_at_once() -> None:
    # The square of a million dead letters would not end in this test's time.
    assert written(a_dead_letter(value={"a" * 1_000_000: 1, "x": "a" * 1_000_000}))
