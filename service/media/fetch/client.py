"""One GET through the guard, within limits; whatever goes wrong becomes one of our errors."""

import asyncio
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver
from opentelemetry.trace import SpanKind
from yarl import URL

from service.errors import ModstreamError
from service.media.errors import (
    AddressNotAllowedError,
    FetchFailedError,
    FetchTimeoutError,
    ImageNotFoundError,
    ImageReferenceError,
    ImageTooLargeError,
    UnsupportedFormatError,
)
from service.media.fetch.bounded_connection import (
    MAX_HEAD_BYTES,
    AnswerRefusedError,
    AnswerTooSlowError,
    BoundedConnection,
    BoundedConnector,
)
from service.media.fetch.connection_trace import connection_trace
from service.media.fetch.guard import AddressGuard, AddressRefusedError
from service.media.fetch.parsing_budget import ParsingBudget
from service.media.fetch.web_address import host_of
from service.settings import FetchSettings
from service.telemetry import names
from service.telemetry.spans import Span, current_span

_REDIRECTS = {301, 302, 303, 307, 308}
# 203: the same image, changed on its way by a proxy.
_SUCCESSES = {HTTPStatus.OK, HTTPStatus.NON_AUTHORITATIVE_INFORMATION}
_WORTH_ANOTHER_ATTEMPT = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_SERVER_ERRORS = 500

# Enough for the error document of an object store, which names its error near the start.
_EXCERPT_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    location: str | None
    """Where a redirect leads, as sent; None for any other answer."""
    body: bytes
    """All of a success; the start of an error; nothing of a redirect."""

    @property
    def succeeded(self) -> bool:
        """Whether the body is the image."""
        return self.status in _SUCCESSES

    def failure(self, host: str) -> ModstreamError:
        """Return the error that an answer other than a success or a redirect stands for."""
        detail = f"{host} answered {self.status}"
        if self.status in _WORTH_ANOTHER_ATTEMPT or self.status >= _SERVER_ERRORS:
            return FetchFailedError(detail=detail)
        return ImageNotFoundError(detail=detail)


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
            max_headers=MAX_HEAD_BYTES,
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

    async def get(self, url: URL) -> Answer:
        """Ask once, following nothing; raise `RejectedError` or `TransientError`, without the URL in any message."""
        with _asking(url) as span:
            answer = await self._get(url)
            span.set(names.HTTP_RESPONSE_STATUS_CODE, answer.status)
            span.set(names.HTTP_RESPONSE_BODY_SIZE, len(answer.body))
            return answer

    async def _get(self, url: URL) -> Answer:
        host = host_of(url)
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                return await self._read(response, host)
        except TimeoutError:
            limit = f"{self._settings.read_timeout_s:g} s (media.fetch.read_timeout_s)"
            raise FetchTimeoutError(detail=f"{host} was silent for {limit}") from None
        except AnswerTooSlowError:
            limit = f"{self._settings.min_bytes_per_s} bytes a second (media.fetch.min_bytes_per_s)"
            raise FetchTimeoutError(detail=f"{host} sent less than {limit}") from None
        except AnswerRefusedError as error:
            raise FetchFailedError(detail=f"{host} answered {error}") from None
        except aiohttp.InvalidURL:
            raise ImageReferenceError(detail="it is no valid URL") from None
        except aiohttp.ClientConnectorError as error:
            raise _connection_failure(host, error) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise FetchFailedError(detail=f"{host} did not answer in full ({type(error).__name__})") from None

    async def _read(self, response: aiohttp.ClientResponse, host: str) -> Answer:
        if response.status in _REDIRECTS and "Location" in response.headers:
            return Answer(response.status, response.headers["Location"], b"")
        if response.status not in _SUCCESSES:
            return Answer(response.status, None, await _start_of(response, _EXCERPT_BYTES))
        limit_bytes = self._settings.max_bytes
        if any(
            coding.strip().lower() not in {"", "identity"} for coding in response.headers.getall("Content-Encoding", [])
        ):
            raise UnsupportedFormatError(detail=f"{host} compressed it although asked not to")
        if (response.content_length or 0) > limit_bytes:
            raise ImageTooLargeError(limit_bytes=limit_bytes)
        body = await _start_of(response, limit_bytes)
        if len(body) > limit_bytes:
            raise ImageTooLargeError(limit_bytes=limit_bytes)
        return Answer(response.status, None, body)


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


async def _start_of(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    """Return the body if it has no more bytes than the limit, else a little more than the limit."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > limit_bytes:
            break
    return bytes(body)


def _connection_failure(host: str, error: aiohttp.ClientConnectorError) -> ModstreamError:
    match error:
        case aiohttp.ClientConnectorError(os_error=AddressRefusedError(address=address)):
            return AddressNotAllowedError(host=host, address=address)
        case aiohttp.ClientConnectorDNSError():
            return FetchFailedError(detail=f"the name {host} does not resolve")
        case aiohttp.ClientConnectorCertificateError():
            return FetchFailedError(detail=f"the certificate of {host} is not valid")
        case aiohttp.ClientSSLError():
            return FetchFailedError(detail=f"no secure connection to {host}")
        case _:
            return FetchFailedError(detail=f"no connection to {host} ({error.strerror})")
