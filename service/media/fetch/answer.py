"""The status and headers of a server's response, and what follows for the record. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from service.core.errors import ModstreamError
from service.http.retry_after import retry_after_s
from service.media.errors import FetchFailedError, ImageNotFoundError

REDIRECTS = frozenset({301, 302, 303, 307, 308})
# 203: the same image, changed on its way by a proxy.
_SUCCESSES = {HTTPStatus.OK, HTTPStatus.NON_AUTHORITATIVE_INFORMATION}
# 202: the image is still being made. 423 and 425: it is still being written, or it is asked for too early.
_WORTH_ANOTHER_ATTEMPT = {
    HTTPStatus.ACCEPTED,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.LOCKED,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}
_SERVER_ERRORS = 500

# Of what Content-Encoding may say these compress. In practice it also says "aws-chunked", "utf-8", "none" or "base64",
# and the body is the image all the same: browsers ignore what they do not know.
_COMPRESSIONS = frozenset(
    {"br", "compress", "dcb", "dcz", "deflate", "gzip", "x-bzip2", "x-compress", "x-gzip", "xz", "zstd"}
)

_WHOLE_RANGE = re.compile(r"bytes 0-([0-9]{1,18})/([0-9]{1,18})")
_MAX_RETRY_AFTER_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The status and headers of a server's response."""

    status: int
    location: str | None
    """Where a redirect leads, as sent; None for any other answer."""
    body: bytes | bytearray
    """All of a success; the start of an error; nothing of a redirect."""
    succeeded: bool = False
    """Whether the body is the image."""
    retry_after_s: float | None = None
    """How long to wait before another request, if it says so."""
    bucket_region: str | None = None
    """Where S3 keeps the bucket, if it says so."""

    def failure(self, named: str) -> ModstreamError:
        """Return the error for a response that is neither a success nor a redirect."""
        detail = f"{named} answered {self.status}"
        if self.status in _WORTH_ANOTHER_ATTEMPT or self.status >= _SERVER_ERRORS:
            return FetchFailedError(detail=detail, retry_after_s=self.retry_after_s)
        return ImageNotFoundError(detail=detail)


def is_success(status: int, headers: Mapping[str, str]) -> bool:
    """Return whether the body is the complete image: 200, 203, or 206 with the whole as one part."""
    if status in _SUCCESSES:
        return True
    whole = _WHOLE_RANGE.fullmatch(headers.get("Content-Range", ""))
    return status == HTTPStatus.PARTIAL_CONTENT and whole is not None and int(whole[1]) + 1 == int(whole[2])


def compression(content_encodings: list[str]) -> str | None:
    """Return the first coding among all values of Content-Encoding that compresses, or None."""
    codings = (coding.strip().lower() for value in content_encodings for coding in value.split(","))
    return next((coding for coding in codings if coding in _COMPRESSIONS), None)


def pause_s(retry_after: str | None, now: datetime) -> float | None:
    """Return the seconds that Retry-After asks for, at most a day; None if it cannot be read."""
    asked_s = retry_after_s(retry_after, now)
    return None if asked_s is None else min(max(asked_s, 0.0), _MAX_RETRY_AFTER_S)
