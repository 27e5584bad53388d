"""The HTTP endpoint: /metrics for Prometheus, and /health for orchestrators and operators."""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import orjson
from aiohttp import web

from service.core.errors import FatalError
from service.monitoring.health import Checks
from service.settings.monitoring import MonitoringSettings


class PortTakenError(FatalError):
    """Another process listens on the address and port of `monitoring.host` and `monitoring.port`."""

    reason = "monitoring.port_taken"
    message = (
        "{host}:{port} is taken (settings monitoring.host and monitoring.port), by another process of the service "
        "perhaps: give each one a port of its own, such as MODSTREAM_MONITORING__PORT=9465, or 0 for no endpoint"
    )


class AddressUnusableError(FatalError):
    """There is no such address here, or no right to listen on it."""

    reason = "monitoring.address_unusable"
    message = "cannot listen on {host}:{port} (settings monitoring.host and monitoring.port): {detail}"


# The form that every Prometheus reads.
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Answers take milliseconds; what still hangs at the end is a reader that went away.
_GRACE_S = 1.0


class Endpoint:
    """Serves the given sources. A response of /health/live shows that the event loop runs."""

    def __init__(
        self,
        *,
        scrape: Callable[[], bytes],
        check: Callable[[], Checks],
        summary: Callable[[], Mapping[str, object]],
    ) -> None:
        """`scrape` and `summary` wait for the GPU's driver perhaps, so they are called in a thread."""
        self._scrape = scrape
        self._check = check
        self._summary = summary
        # Two scrapes at a time would share what the reader collects.
        self._scraping = asyncio.Lock()

    @asynccontextmanager
    async def open(self, settings: MonitoringSettings) -> AsyncIterator[None]:
        """Start to listen; raises `PortTakenError` or `AddressUnusableError`."""
        runner = web.AppRunner(self._application(), access_log=None, handle_signals=False, shutdown_timeout=_GRACE_S)
        await runner.setup()
        try:
            await _listen(runner, settings)
            yield
        finally:
            await runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/health", self._health)
        application.router.add_get("/health/live", self._live)
        application.router.add_get("/health/ready", self._ready)
        return application

    async def _metrics(self, _: web.Request) -> web.Response:
        async with self._scraping:
            body = await asyncio.to_thread(self._scrape)
        return web.Response(body=body, headers={"Content-Type": _METRICS_TYPE})

    async def _health(self, _: web.Request) -> web.Response:
        return _json(await asyncio.to_thread(self._summary))

    async def _live(self, _: web.Request) -> web.Response:
        return _json({"live": True})

    async def _ready(self, _: web.Request) -> web.Response:
        checks = self._check()
        return _json(checks.document(), status=200 if checks.ready else 503)


def _json(document: Mapping[str, object], *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(document), status=status, content_type="application/json")


async def _listen(runner: web.AppRunner, settings: MonitoringSettings) -> None:
    host, port = settings.host, settings.port
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(host=host, port=port) from error
        raise AddressUnusableError(host=host, port=port, detail=error.strerror or str(error)) from error
