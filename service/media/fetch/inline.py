"""Images that travel inside the event, in base64. Pure."""

import base64

from service.media.errors import ImageReferenceError, ImageTooLargeError


def decode_inline(text: str, *, limit_bytes: int) -> bytes:
    """Return the image file; raise `ImageTooLargeError` before decoding, `ImageReferenceError` for other notations."""
    if text[:5].lower() == "data:":
        raise ImageReferenceError(detail="inline is base64 alone, without data: and media type in front")
    if _decoded_bytes(text) > limit_bytes:
        raise ImageTooLargeError(limit_bytes=limit_bytes)
    data = _strictly_decoded(text)
    if data is None:
        detail = "inline is not standard base64 (A-Z a-z 0-9 + /, padded with =, without line breaks)"
        raise ImageReferenceError(detail=detail)
    return data


def _strictly_decoded(text: str) -> bytes | None:
    if len(text) % 4:  # which some versions of Python do not mind
        return None
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None


def _decoded_bytes(text: str) -> int:
    padding = len(text) - len(text.rstrip("="))
    return (len(text) - padding) * 3 // 4
