"""HTTP requests to model servers over a bounded pool of connections."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from service.core.spans import current_span
from service.http.bounded_connection import AnswerRefusedError, BoundedConnection, BoundedConnector
from service.http.parsing_budget import ParsingBudget
from service.inference.errors import EngineFailedError, EngineNotRunningError
from service.inference.openai.answers import Answer
from service.inference.openai.errors import AnswerBrokenOffError, ServerSilentError, ServerUnreachableError
from service.inference.openai.fleet import Server
from service.settings.openai import OpenAISettings
from service.telemetry import names
from service.telemetry.propagation import text_headers

# Of the bound on connections to one server: for looks at its health, and for words that become tokens.
_SPARE_CONNECTIONS = 2

# Under the 5 s after which uvicorn, which serves vLLM, closes an idle connection: a request on one that is being closed
# would fail.
_KEEP_ALIVE_S = 4.0

# A completion of 256 tags with 20 likely tokens each takes 0.6 MB; the rest is for lists of many adapters.
MAX_ANSWER_BYTES = 4 * 1024 * 1024


class OpenAIClient:
    """An HTTP session with the servers' key; open it in the event loop that uses it."""

    def __init__(self, settings: OpenAISettings) -> None:
        self._settings = settings
        self._parsing = ParsingBudget()
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Open the session; no connection is made yet."""
        settings = self._settings
        key = settings.api_key
        self._session = aiohttp.ClientSession(
            connector=BoundedConnector(
                self._connection,
                limit=0,
                limit_per_host=settings.max_in_flight + _SPARE_CONNECTIONS,
                keepalive_timeout=_KEEP_ALIVE_S,
            ),
            timeout=aiohttp.ClientTimeout(total=settings.request_timeout_s, sock_connect=settings.connect_timeout_s),
            # No proxy or netrc from the environment: the key and the images are for the named servers alone.
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            # A small compressed answer may be a large one; uncompressed ones are what is asked for.
            auto_decompress=False,
            headers={"User-Agent": "modstream", "Accept-Encoding": "identity"}
            | ({"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}),
        )

    def _connection(self) -> BoundedConnection:
        """Return a connection that bounds what a broken or hostile server costs; answers may come at any pace."""
        return BoundedConnection(asyncio.get_running_loop(), self._parsing, min_bytes_per_s=0, window_s=1.0)

    async def close(self) -> None:
        """Close the session and its connections; exchanges in flight fail. Harmless if never opened."""
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def opened(self, server: Server, path: str, body: bytes) -> AsyncIterator[aiohttp.ClientResponse]:
        """Post JSON, and yield the response once its head is there; its body arrives for as long as the block lasts.

        Raises `EngineFailedError` if there is no response. Callers bound the time, and the body with `pieces`.
        """
        if self._session is None:
            raise EngineNotRunningError
        span = current_span()
        span.set(names.SERVER_ADDRESS, server.name)
        limits = aiohttp.ClientTimeout(total=None, sock_connect=self._settings.connect_timeout_s)
        try:
            response = await self._session.post(
                server.url + path,
                data=io.BytesIO(body),
                headers={"Content-Type": "application/json", **text_headers(span.context)},
                allow_redirects=False,
                timeout=limits,
            )
        except AnswerRefusedError as error:
            raise EngineFailedError(detail=f"{server.name} answered {error}") from None
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise _failure(server.name, error, self._settings.connect_timeout_s) from None
        async with response:
            yield response

    async def exchange(
        self, server: Server, path: str, body: bytes | None = None, *, timeout_s: float | None = None
    ) -> Answer:
        """Get a path, or post JSON to it; raise `EngineFailedError` if there is no answer.

        Cancelling closes the connection, which makes the server give the request up.
        """
        if self._session is None:
            raise EngineNotRunningError
        timeout_s = timeout_s or self._settings.request_timeout_s
        span = current_span()
        span.set(names.SERVER_ADDRESS, server.name)
        try:
            async with self._session.request(
                "GET" if body is None else "POST",
                server.url + path,
                # A file is written piece by piece; a megabyte at once would hold the event loop up.
                data=None if body is None else io.BytesIO(body),
                headers={} if body is None else {"Content-Type": "application/json", **text_headers(span.context)},
                # A redirect would carry images to a host that no setting names.
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_s, sock_connect=self._settings.connect_timeout_s),
            ) as response:
                answer = await _bounded(server, response)
                return Answer(server.name, response.status, answer, response.headers.get("Retry-After"))
        except AnswerRefusedError as error:
            raise EngineFailedError(detail=f"{server.name} answered {error}") from None
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise _failure(server.name, error, timeout_s) from None


async def _bounded(server: Server, response: aiohttp.ClientResponse) -> bytes:
    """Return an answer's body; raise `EngineFailedError` for one that is larger than any that was asked for."""
    return b"".join([piece async for piece in _pieces(server, response, max_bytes=MAX_ANSWER_BYTES)])


async def _pieces(server: Server, response: aiohttp.ClientResponse, *, max_bytes: int) -> AsyncIterator[bytes]:
    size = 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > max_bytes:
            response.close()  # the rest of it is not read
            raise EngineFailedError(detail=f"{server.name} answered with more than {max_bytes} bytes")
        yield piece


async def pieces(server: Server, response: aiohttp.ClientResponse, *, max_bytes: int) -> AsyncIterator[bytes]:
    """Yield the body of an opened response as it arrives; raise `EngineFailedError` if it breaks off or is larger."""
    try:
        async for piece in _pieces(server, response, max_bytes=max_bytes):
            yield piece
    except AnswerRefusedError as error:
        raise EngineFailedError(detail=f"{server.name} answered {error}") from None
    except (aiohttp.ClientError, OSError) as error:
        raise _failure(server.name, error, 0.0) from None


def _failure(name: str, error: Exception, timeout_s: float) -> EngineFailedError:
    """Return what an exchange without an answer stands for."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            detail = f"{name} accepts no connection in time (engine.openai.connect_timeout_s)"
            return ServerUnreachableError(detail=detail)
        case TimeoutError():
            return ServerSilentError(detail=f"{name} gave no answer in {timeout_s:g} s")
        case aiohttp.ClientConnectorCertificateError():
            detail = f"{name} shows a certificate that is not trusted: {error.certificate_error}"
            return ServerUnreachableError(detail=detail)
        case aiohttp.ClientConnectorSSLError():
            return ServerUnreachableError(detail=f"{name} fails at TLS: {error.os_error}")
        case aiohttp.ClientConnectorError():
            return ServerUnreachableError(detail=f"{name} did not answer ({type(error).__name__})")
        case _:
            return AnswerBrokenOffError(detail=f"{name} did not answer in full ({type(error).__name__})")
