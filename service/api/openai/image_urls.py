"""Pure: the URL of an image, as OpenAI's clients send it, to the image reference of an event."""

import re

from schemas.image_uploaded import MAX_URL_CHARACTERS, ImageByUrlV1, ImageInlineV1, ImageReferenceV1
from service.media.errors import ImageReferenceError, SchemeNotAllowedError

_SCHEMES = frozenset({"http", "https", "s3"})
"""Files of the service's own machine are for those who publish events, not for clients."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,31}):")
_DATA_HEAD = re.compile(r"data:([\w.+/-]{0,127})(?:;[\w.+=-]{1,64}){0,4};base64", re.IGNORECASE)
_MAX_DATA_HEAD = 512


def reference_of(url: str) -> ImageReferenceV1:
    """Return the image that a URL or data URL stands for; raises `ImageReferenceError` or `SchemeNotAllowedError`."""
    scheme = _SCHEME.match(url)
    if scheme is None:
        raise ImageReferenceError(detail="a URL starts with a scheme such as https://")
    match scheme[1].lower():
        case "data":
            return _inline(url)
        case name if name not in _SCHEMES:
            raise SchemeNotAllowedError(scheme=name, hint=" here: http, https, s3 and data are")
    if len(url) > MAX_URL_CHARACTERS:
        raise ImageReferenceError(detail=f"a URL has at most {MAX_URL_CHARACTERS} characters")
    return ImageByUrlV1(url=url)


def _inline(url: str) -> ImageInlineV1:
    comma = url.find(",", 0, _MAX_DATA_HEAD)
    head = _DATA_HEAD.fullmatch(url, 0, comma) if comma >= 0 else None
    if head is None:
        raise ImageReferenceError(detail="a data URL begins with data:image/jpeg;base64, or another type in its place")
    if comma + 1 == len(url):
        raise ImageReferenceError(detail="the data URL is empty")
    return ImageInlineV1(inline=url[comma + 1 :], media_type=head[1] or "application/octet-stream")
