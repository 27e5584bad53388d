"""Pure: how much a JSON text holds, counted at the speed of memory before anything is built from it.

A parser makes an object of every three bytes of `[],[],[]`, and holds up the event loop while it does. So what an event
may hold is bounded by its commas and opening brackets: no text has more values than these two together and one.
"""

from service.events.codec_errors import EventTooComplexError

MAX_STRUCTURE = 65_536
"""More than an event needs whose every text is as long as the contract allows and holds nothing but commas: 54,000.
Parsing as many values takes 15 ms at most."""

_INLINE = b'"inline"'


def check_structure(text: bytes) -> None:
    """Raise `EventTooComplexError` for a JSON text with more than `MAX_STRUCTURE` commas and opening brackets."""
    if len(text) <= MAX_STRUCTURE:
        return
    begin, end = _inline_image(text)
    if sum(text.count(sign, 0, begin) + text.count(sign, end) for sign in (b",", b"[", b"{")) > MAX_STRUCTURE:
        raise EventTooComplexError(limit=MAX_STRUCTURE)


def _inline_image(text: bytes) -> tuple[int, int]:
    """Return where an image's base64 begins and ends, which is nearly all of a long event; an empty range without one.

    It holds no structure: after `"inline":"` a string is open, in whatever context these bytes stand in a JSON text,
    and it stays open up to the next quotation mark at least.
    """
    name_end = text.find(_INLINE) + len(_INLINE)
    begin = text.find(b'"', name_end) + 1
    if name_end < len(_INLINE) or not begin or text[name_end : begin - 1].strip(b" \t\r\n") != b":":
        return 0, 0
    end = text.find(b'"', begin)
    return (begin, end) if end >= 0 else (0, 0)
