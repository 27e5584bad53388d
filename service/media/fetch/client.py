"""One GET request through the address guard, within limits. Every failure becomes one of the service's errors."""

import asyncio
import functools
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver
from opentelemetry.trace import SpanKind
from yarl import URL

from service.core.spans import Span, current_span
from service.http.bounded_connection import MAX_HEAD_BYTES, MAX_HEADERS, BoundedConnection, BoundedConnector
from service.http.parsing_budget import ParsingBudget
from service.media.errors import ImageTooLargeError, UnsupportedFormatError
from service.media.fetch.answer import REDIRECTS, Answer, compression, is_success, pause_s
from service.media.fetch.connection_trace import connection_trace
from service.media.fetch.failures import failure_of
from service.media.fetch.guard import DIALLED, AddressGuard, Dialled
from service.media.fetch.web_address import host_of
from service.settings.media import FetchSettings
from service.telemetry import names

# Of Amazon's S3, on every answer about a bucket.
_BUCKET_REGION = "x-amz-bucket-region"
# Enough for the error document of an object store, which names its error near the start.
_EXCERPT_BYTES = 2048


Reserve = Callable[[int], Awaitable[None]]
"""Waits until an image may take so many bytes."""


async def reserve_nothing(size_bytes: int) -> None:
    """Reserve no memory: every image may take what it needs."""


class GuardedClient:
    """An HTTP session whose every connection passes the guard; enter it in the event loop that uses it."""

    def __init__(
        self, settings: FetchSettings, guard: AddressGuard, resolver: AbstractResolver, budget: ParsingBudget
    ) -> None:
        self._settings = settings
        self._budget = budget
        self._guard = guard
        self._resolver = resolver

    async def __aenter__(self) -> Self:
        """Open the session."""
        read_timeout_s = self._settings.read_timeout_s
        self._session = aiohttp.ClientSession(
            connector=BoundedConnector(
                self._connection,
                ssl=_tls(),
                socket_factory=self._guard.open_socket,
                resolver=self._resolver,
                use_dns_cache=False,  # the resolver remembers, for all clients together
                limit=0,  # the caller limits, over all clients together
            ),
            # The time in all is the caller's too: it covers redirects.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=read_timeout_s, sock_read=read_timeout_s),
            # No proxy or netrc from the environment: a proxy would dial in our place, past the guard.
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            # Images are compressed already; unpacking would let a small answer grow past every limit.
            auto_decompress=False,
            headers={"Accept-Encoding": "identity", "User-Agent": "modstream"},
            trace_configs=[connection_trace()],
            # The connection counts all of a head together.
            max_line_size=MAX_HEAD_BYTES,
            max_field_size=MAX_HEAD_BYTES,
            max_headers=MAX_HEADERS,
        )
        return self

    def _connection(self) -> BoundedConnection:
        return BoundedConnection(
            asyncio.get_running_loop(),
            self._budget,
            min_bytes_per_s=self._settings.min_bytes_per_s,
            window_s=self._settings.read_timeout_s,
        )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session and its connections."""
        await self._session.close()

    async def get(self, url: URL, *, named: str, reserve: Reserve = reserve_nothing) -> Answer:
        """Ask once, following nothing; raise `RejectedError` or `TransientError`.

        Messages call the host `named`, and hold nothing else of the URL. `reserve` is awaited before an image takes
        more memory.
        """
        with _asking(url) as span:
            answer = await self._get(url, named, reserve)
            span.set(names.HTTP_RESPONSE_STATUS_CODE, answer.status)
            span.set(names.HTTP_RESPONSE_BODY_SIZE, len(answer.body))
            return answer

    async def _get(self, url: URL, named: str, reserve: Reserve) -> Answer:
        dialled = Dialled()
        token = DIALLED.set(dialled)
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                return await self._read(response, named, reserve)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise failure_of(
                error, self._settings, host=host_of(url), named=named, is_internal=dialled.is_internal
            ) from None
        finally:
            DIALLED.reset(token)

    async def _read(self, response: aiohttp.ClientResponse, named: str, reserve: Reserve) -> Answer:
        headers = response.headers
        if response.status in REDIRECTS and "Location" in headers:
            return Answer(response.status, headers["Location"], b"", bucket_region=headers.get(_BUCKET_REGION))
        if not is_success(response.status, headers):
            return Answer(
                response.status,
                None,
                await _start_of(response, _EXCERPT_BYTES, reserve_nothing),
                retry_after_s=pause_s(headers.get("Retry-After"), datetime.now(UTC)),
                bucket_region=headers.get(_BUCKET_REGION),
            )
        coding = compression(headers.getall("Content-Encoding", []))
        if coding is not None:
            raise UnsupportedFormatError(detail=f"{named} compressed it ({coding}) although asked not to")
        return Answer(response.status, None, await self._image(response, reserve), succeeded=True)

    async def _image(self, response: aiohttp.ClientResponse, reserve: Reserve) -> bytearray:
        limit_bytes = self._settings.max_bytes
        if (response.content_length or 0) > limit_bytes:
            raise ImageTooLargeError(limit_bytes=limit_bytes)
        body = await _start_of(response, limit_bytes, reserve)
        if len(body) > limit_bytes:
            raise ImageTooLargeError(limit_bytes=limit_bytes)
        return body


@functools.cache  # reading the certificates of the system takes 40 ms
def _tls() -> ssl.SSLContext:
    """Return what aiohttp would use, less renegotiation: each one costs as much as a new connection."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def _asking(url: URL) -> Span:
    """Begin the span of a request: of its address the host alone, as the rest may be signed."""
    span = current_span()
    if not span.is_recording:
        return span
    return span.child(
        names.GET,
        kind=SpanKind.CLIENT,
        attributes={
            names.HTTP_REQUEST_METHOD: names.GET,
            names.URL_SCHEME: url.scheme,
            names.SERVER_ADDRESS: host_of(url),
            names.SERVER_PORT: url.port or 0,
        },
    )


async def _start_of(response: aiohttp.ClientResponse, limit_bytes: int, reserve: Reserve) -> bytearray:
    """Return the body if it has no more bytes than the limit, else a little more than the limit."""
    body = bytearray()
    async for piece in response.content.iter_any():
        await reserve(len(body) + len(piece))
        body += piece
        if len(body) > limit_bytes:
            break
    return body  # as it is: a copy would take as much memory again
