"""Pure: what a model wrote → the strings in it, as far as they can be read.

Answers are JSON objects whose values are strings or lists of strings. One that was cut off or broken is read up to the
fault, so that what was valid is not lost with it.
"""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_STRING = r'"(?:[^"\\]|\\.)*"'
_PAIR = re.compile(
    rf"\s*(?P<key>{_STRING})\s*:\s*"
    rf'(?P<value>{_STRING}|\[\s*(?:{_STRING}[\s,]*)*\]?|[^\s"\[\]{{}},:]+)'
    r"\s*(?P<end>[,}]?)",
    re.DOTALL,
)
_SAID = re.compile(_STRING, re.DOTALL)
_EMPTY = re.compile(r"\s*}")

# Control and format characters, halves of surrogate pairs, and separators of lines and paragraphs: they change how the
# text around them is shown, or cannot be written at all.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class ParsedString:
    """A string in an answer, with its position between the quotes, in characters of the whole text."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The strings that could be read from a model's text."""

    said: Mapping[str, Sequence[ParsedString]]
    """The strings by attribute key. Values without a string are left out; a list without any is empty."""
    is_whole: bool
    """The object was read to its end."""


def read_answer(text: str) -> Answer:
    """Return the strings of the first JSON object in a text."""
    place = text.find("{") + 1
    if place and _EMPTY.match(text, place):
        return Answer({}, is_whole=True)
    said: dict[str, Sequence[ParsedString]] = {}
    end = ""
    while place and end != "}" and (pair := _PAIR.match(text, place)):
        if pair["value"][0] in '"[':
            said.setdefault(_decoded(pair["key"]), _strings(text, pair))
        place, end = pair.end(), pair["end"]
        if not end:
            break
    return Answer(said, is_whole=end == "}")


def plain(text: str) -> str:
    """Return a text on one line, without invisible characters."""
    seen = ("" if unicodedata.category(each) in _UNSEEN and not each.isspace() else each for each in text)
    return " ".join("".join(seen).split())


def _strings(text: str, pair: re.Match[str]) -> Sequence[ParsedString]:
    found = _SAID.finditer(text, pair.start("value"), pair.end("value"))
    return [ParsedString(_decoded(each[0]), each.start() + 1, each.end() - 1) for each in found]


def _decoded(string: str) -> str:
    """Return what a JSON string says; as it stands if its escapes are no JSON."""
    try:
        return str(json.loads(string, strict=False))
    except ValueError:
        return string[1:-1]
