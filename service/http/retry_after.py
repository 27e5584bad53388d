"""Pure: what an HTTP server asks for by Retry-After (RFC 9110, 10.2.3)."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_MAX_CHARACTERS = 64
"""A date has 29."""

_MAX_DIGITS = 9
"""Of seconds, which callers bound further."""


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Return the seconds from now that a header asks for, which may lie in the past; None for what is neither form."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:_MAX_DIGITS])
    if not text or len(text) > _MAX_CHARACTERS:
        return None
    try:
        when = parsedate_to_datetime(text)
        return ((when if when.tzinfo else when.replace(tzinfo=UTC)) - now).total_seconds()
    except (ValueError, OverflowError):  # a year or an offset of many digits is the second one
        return None
