"""Words that only this project used, and riddles, stay out of code, documents, tests and the commands' help."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# The word, as it stands in prose, `snake_case` or `CamelCase`, and what to write instead.
RETIRED = {
    "lanes?|lane keepers?": "partition",
    "standings?": "status",
    "put off|puts off|putting off": "deferred",
    "weather": "outage",
    "tally|tallies": "result, counts",
    "briefs?": "instructions",
    "suspicions?": "follow-up threshold",
    "siblings": "name the relation",
    "surveys?": "probe, estimate",
    "desks?": "store",
    "ledgers?": "journal",
    "wordless": "scrubbed",
    "live span": "recording span",
    "tell|tells|told|telling|untold": "report, return, set, distinguish; what a component does",
    "bars?": "threshold",
    "(first|second) look|look again|looks again|looked at again|looked again": "pass, check, scrape",
    "nobody|somebody|anybody|everybody|whoever": "name the component, the process or the reader",
}

# What is not meant, with the reason why it stays.
STAYS = {
    r"put_off": "a label's value and a log event: dashboards and alerts of operators select by it",
    r"progress bars?|progress_bar|ProgressBar|BarColumn": "what rich calls it",
    r"bar charts?|\bbars? of the chart": "a picture",
    r"\.tell\(\)": "Python's position in a file",
}

RETIRED_CLASSES = (
    "Ask|Brief|Card|Desk|EngineAlarm|Feeding|Flights?|Gate|Judging|Lane|LaneKeeper|Ledger|Letter|LiveSpan|Mark|Move"
    "|Said|Stretch|Survey|Tally|Trial|VerdictCounts|Work|Written"
)

FOLDERS = ("service", "docs", "testing", "tests", "benchmarks", "scripts", "deploy")
KINDS = {".py", ".md", ".yaml", ".yml", ".json", ".tpl", ".sh"}

# Files that keep their words, with the reason.
EXCEPT = {
    "tests/unit/test_retired_words.py": "names the words",
    "tests/contract/messages/frozen": "a released contract, which never changes",
    "testing/data": "data of others",
    "testing/tiny_model/qwen3": "Qwen's own files",
}

FILES = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*")
    if path.suffix in KINDS and path.is_file() and not str(path.relative_to(ROOT)).startswith(tuple(EXCEPT))
)


SPACE = r"[-\s]+"
WORDS = {re.compile(rf"\b(?:{words.replace(' ', SPACE)})\b"): instead for words, instead in RETIRED.items()}
KEPT = re.compile("|".join(STAYS))


def retired_words(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line, word and what to write instead."""
    prose = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", KEPT.sub("", text)).lower()
    for pattern, instead in WORDS.items():
        for found in pattern.finditer(prose):
            yield prose.count("\n", 0, found.start()) + 1, found[0], instead


def test_retired_words_are_gone() -> None:
    found = {str(path.relative_to(ROOT)): list(retired_words(path.read_text())) for path in FILES}
    assert {path: words for path, words in found.items() if words} == {}


def test_no_class_has_a_retired_name() -> None:
    pattern = re.compile(rf"^class (?:{RETIRED_CLASSES})\b", re.MULTILINE)
    assert {str(path): found for path in FILES if (found := pattern.findall(path.read_text()))} == {}


@pytest.mark.parametrize(
    "text",
    [
        "It is told",
        "IS_TOLD",
        "def _is_told(",
        "class LaneKeeper",
        "a\nsecond look",
        "Nobody reads",
        'self._tally["a"]',
    ],
)
def test_a_retired_word_is_found_in_prose_and_in_names(text: str) -> None:
    assert len(list(retired_words(text))) == 1


@pytest.mark.parametrize("text", ['outcome == "put_off"', "a progress bar", "barely", "in flight", "briefly"])
def test_what_looks_like_one_and_is_none_stays(text: str) -> None:
    assert list(retired_words(text)) == []
