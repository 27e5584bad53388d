"""Pure: makes untrusted text safe to show: no terminal control, no forged lines, and a bounded length."""

import json
import re

MAX_LINE_CHARACTERS = 1000
"""Of one text on a page, in a header or in a column; more than any message of the service has."""

# Control characters (Cc), what is invisible or turns the direction of reading (Cf), other line ends (Zl, Zp), and
# halves of surrogate pairs (Cs), which cannot be written.
_UNSAFE_BUT_LINES = (
    "\0-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
_UNSAFE = re.compile(f"[\t\n{_UNSAFE_BUT_LINES}]")
_UNSAFE_IN_LINES = re.compile(f"[{_UNSAFE_BUT_LINES}]")
_ENDS_URL = re.compile(r"[\s\"'<>]")


def one_line(text: str, *, at_most: int = MAX_LINE_CHARACTERS) -> str:
    """Return a text on one line, cut at a number of characters with `…`, with escapes for special characters."""
    line = escaped(cut(text, at_most))
    return line if len(text) <= at_most >= len(line) else f"{line[:at_most]}…"


def escaped(text: str) -> str:
    """Return a text on one line, with Python's escapes for special characters."""
    return text if text.isprintable() else _UNSAFE.sub(_escape, text)


def escaped_lines(text: str) -> str:
    """Return a text with Python's escapes, but its line ends and tabs: for tracebacks and other blocks."""
    return text if text.isprintable() else _UNSAFE_IN_LINES.sub(_escape, text)


def escaped_json(text: str) -> str:
    """Return an equal JSON text, with JSON's escapes for special characters."""
    return text if text.isprintable() else _UNSAFE_IN_LINES.sub(lambda found: json.dumps(found[0])[1:-1], text)


def cut(text: str, at_most: int) -> str:
    """Return the beginning of a text, of about a number of characters, without a URL that is cut."""
    return text if len(text) <= at_most else without_cut_url(text[:at_most])


def without_cut_url(beginning: str) -> str:
    """Return a beginning without the URL that may go on behind it: half of one could be a password without its mark."""
    url = beginning.rfind("://")
    return beginning if url < 0 or _ENDS_URL.search(beginning, url) else beginning[: url + 3]


def _escape(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]
