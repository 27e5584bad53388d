"""The head of an HTTP answer, made fit for a strict parser where browsers agree on what it means. Pure."""

import re

_HEADER = re.compile(rb"(?i)(content-length|transfer-encoding)[ \t]*:([^\r\n]*)\r?\n")


def tolerated(head: bytes) -> bytes:
    """Return a head without lengths that say the same again, or that chunks make meaningless (RFC 9112, 6.3).

    Lengths that contradict each other stay, for the parser to refuse.
    """
    if _is_plain(head.lower()):
        return head
    lines = _framing_lines(head)
    lengths = [line for line in lines if line[1].lower() == b"content-length"]
    is_chunked = any(_is_chunked(line) for line in lines)
    values = {value.strip(b" \t") for line in lengths for value in line[2].split(b",")}
    if not lengths or (not is_chunked and (len(values) > 1 or (len(lengths) == 1 and b"," not in lengths[0][2]))):
        return head
    for line in reversed(lengths):
        head = head[: line.start()] + head[line.end() :]
    return head if is_chunked else _with_length(head, values.pop())


def _is_plain(lower: bytes) -> bool:
    """Return whether there is nothing to mend, as in almost every head, by a quick check."""
    first = lower.find(b"content-length")
    return first < 0 or (
        lower.find(b"content-length", first + 1) < 0
        and lower.find(b",", first, lower.find(b"\n", first)) < 0
        and lower.find(b"transfer-encoding") < 0
    )


def _framing_lines(head: bytes) -> list[re.Match[bytes]]:
    """Return the header lines that say where the body ends; a match in the middle of a line is none."""
    return [match for match in _HEADER.finditer(head) if head[match.start() - 1 : match.start()] == b"\n"]


def _is_chunked(line: re.Match[bytes]) -> bool:
    return line[1].lower() == b"transfer-encoding" and line[2].strip(b" \t").lower() == b"chunked"


def _with_length(head: bytes, value: bytes) -> bytes:
    status_line, line_end, headers = head.partition(b"\n")
    return status_line + line_end + b"Content-Length: " + value + b"\r\n" + headers
