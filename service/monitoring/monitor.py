"""Combines metrics, gauges and the endpoint, which is open until everything else has ended."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import structlog

from service.monitoring.gauges import Gauges
from service.monitoring.health import check, summary
from service.monitoring.initial_series import begin_at_zero
from service.monitoring.server import Endpoint
from service.monitoring.sources import Sources
from service.runtime.nvml import Gpus
from service.settings.settings import Settings
from service.telemetry.metrics import build_metrics

log = structlog.get_logger(__name__)


@asynccontextmanager
async def monitoring(settings: Settings, gpus: Gpus, *, version: str) -> AsyncIterator[Sources]:
    """Report metrics and health from the given sources, as the settings say.

    Raises `PortTakenError` or `AddressUnusableError`.
    """
    sources = Sources()
    port = settings.monitoring.port
    metrics = build_metrics(settings.telemetry, scraped=port > 0, version=version)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, metrics.stop)
        begin_at_zero(settings)
        Gauges(sources, gpus, settings.monitoring, version=version).register(metrics.meter)
        if port:
            endpoint = Endpoint(
                scrape=metrics.scrape,
                check=lambda: check(sources, now_s=time.monotonic()),
                summary=partial(_summary, sources, gpus, version=version, started_at_s=time.monotonic()),
            )
            await stack.enter_async_context(endpoint.open(settings.monitoring))
            log.info("monitoring.listening", host=settings.monitoring.host, port=port)
        yield sources


def _summary(sources: Sources, gpus: Gpus, *, version: str, started_at_s: float) -> dict[str, object]:
    now_s = time.monotonic()
    return summary(sources, gpus.read(), version=version, uptime_s=now_s - started_at_s, now_s=now_s)
