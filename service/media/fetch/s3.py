"""Images in S3 and compatible stores. Requests are signed here; the common client sends them."""

import re
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import obstore
import structlog
from obstore.exceptions import BaseError
from obstore.store import S3Store
from yarl import URL

from service.core.errors import ModstreamError
from service.media.errors import FetchFailedError, ImageNotFoundError, ImageReferenceError, SchemeNotAllowedError
from service.media.fetch.answer import Answer
from service.media.fetch.client import Reserve, reserve_nothing
from service.settings.media import S3Settings

log = structlog.get_logger(__name__)

if TYPE_CHECKING:
    from obstore.store import RetryConfig, S3Config

# As AWS has it: a dot only between other characters, or a name could climb out of its place in a URL's path.
_BUCKET = re.compile(r"(?=.{3,63}$)[a-z0-9][a-z0-9-]*([.][a-z0-9][a-z0-9-]*)*(?<!-)")
_MAX_KEY_BYTES = 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# The signer would take such keys for other ones: it drops empty segments and refuses the others.
_LOST_SEGMENTS = {"", ".", ".."}

# Room for clocks that disagree; the request itself follows at once.
_SIGNED_FOR = timedelta(minutes=15)

# In messages: its endpoint is nothing that uploaders know.
_NAMED = "the object store"
_REGION = re.compile(r"[a-z0-9-]{1,32}")

_ERROR_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,64})</Code>")
# What S3 says about the object; any other refusal is about our request, and may end with new credentials or settings.
_ABOUT_THE_OBJECT = {"NoSuchKey", "NoSuchBucket", "AccessDenied", "InvalidObjectState", "MethodNotAllowed"}


@dataclass(frozen=True, slots=True)
class S3Reference:
    """Bucket and key of one object."""

    bucket: str
    key: str
    """As it is, without escapes."""


class Client(Protocol):
    """Sends a signed request: `GuardedClient`, or a fake store in tests."""

    async def get(self, url: URL, *, named: str, reserve: Reserve) -> Answer:
        """Send one GET request."""
        ...


class S3Fetcher:
    """Fetches s3://bucket/key from the buckets that the operator named."""

    def __init__(self, settings: S3Settings, client: Client) -> None:
        self._settings = settings
        self._client = client

    async def fetch(self, text: str, reserve: Reserve = reserve_nothing) -> bytes | bytearray:
        """Return the object's bytes; raise `RejectedError` or `TransientError`."""
        buckets = self._settings.buckets
        if not buckets:
            raise SchemeNotAllowedError(scheme="s3", hint=" (media.fetch.s3.buckets is empty)")
        reference = parse_s3(text)
        if reference.bucket not in buckets and "*" not in buckets:
            raise SchemeNotAllowedError(scheme="s3", hint=" to this bucket (media.fetch.s3.buckets)")
        url = await self._sign(reference)
        answer = await self._client.get(url, named=_NAMED, reserve=reserve)
        if not answer.succeeded:
            raise _failure(answer, self._settings.region)
        return answer.body

    @cached_property
    def _store(self) -> S3Store:
        return _open_store(self._settings)

    async def _sign(self, reference: S3Reference) -> URL:
        try:
            signed = await obstore.sign_async(self._store, "GET", f"{reference.bucket}/{reference.key}", _SIGNED_FOR)
        except (BaseError, OSError, ValueError) as error:
            log.warning("image.s3_request_not_signed", cause=type(error).__name__)
            detail = "the request to S3 cannot be signed: check credentials and media.fetch.s3"
            raise FetchFailedError(detail=detail) from None
        return URL(signed, encoded=True)


def _open_store(settings: S3Settings) -> S3Store:
    """Return what signs for every bucket.

    It takes the endpoint for that of one bucket, and the bucket's name for the first part of a key. So credentials are
    looked up once for all buckets, and no event has a say in the host.
    """
    endpoint = settings.endpoint or f"https://s3.{settings.region}.amazonaws.com"
    config: S3Config = {
        # The key that wins over every other place an endpoint can come from, such as the environment.
        "aws_endpoint_url_s3": endpoint.rstrip("/"),
        "region": settings.region,
        "virtual_hosted_style_request": True,
    }
    if settings.access_key_id and settings.secret_access_key:
        config["access_key_id"] = settings.access_key_id
        config["secret_access_key"] = settings.secret_access_key.get_secret_value()
    # Only the look-up of credentials is ever sent from here; another attempt at the record tries it again.
    retries: RetryConfig = {"max_retries": 1}
    return S3Store("any", config=config, client_options={"connect_timeout": "2s"}, retry_config=retries)


def parse_s3(text: str) -> S3Reference:
    """Return bucket and key of s3://bucket/key; the key is taken as written, as other S3 tools do."""
    bucket, _, key = text[len("s3://") :].partition("/")
    if text[: len("s3://")].lower() != "s3://" or not _BUCKET.fullmatch(bucket):
        raise ImageReferenceError(detail="it is not s3://bucket/key with a valid name of a bucket")
    if _LOST_SEGMENTS & set(key.split("/")) or _CONTROL.search(key) or not _fits(key):
        detail = (
            f"the key is empty or over {_MAX_KEY_BYTES} bytes, or has empty or dotted segments or control characters"
        )
        raise ImageReferenceError(detail=detail)
    return S3Reference(bucket, key)


def _fits(key: str) -> bool:
    try:
        return len(key.encode()) <= _MAX_KEY_BYTES
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can hold and UTF-8 cannot
        return False


def _failure(answer: Answer, region: str) -> ModstreamError:
    if answer.bucket_region is not None and answer.bucket_region != region and _REGION.fullmatch(answer.bucket_region):
        return FetchFailedError(
            detail=f"the bucket is in {answer.bucket_region}, media.fetch.s3.region is {region}: they must be the same"
        )
    if answer.location is not None:
        return FetchFailedError(detail=f"{_NAMED} redirects: is media.fetch.s3.region the bucket's?")
    found = _ERROR_CODE.search(answer.body)
    if found is None:
        return answer.failure(_NAMED)
    code = found[1].decode()
    if code in _ABOUT_THE_OBJECT:
        return ImageNotFoundError(detail=f"{_NAMED} answered {answer.status} {code}")
    log.warning("image.object_store_refused", status=answer.status, code=code)
    return FetchFailedError(detail=f"{_NAMED} answered {answer.status}", retry_after_s=answer.retry_after_s)
