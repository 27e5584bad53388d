"""Traces a new connection: a span for the look-up of its name, one for making it. Reused connections have none."""

import time
from types import SimpleNamespace
from typing import Any

import aiohttp

from service.core.spans import current_span
from service.telemetry import names


def connection_trace() -> aiohttp.TraceConfig:
    """Return aiohttp's hooks for connections."""
    config = aiohttp.TraceConfig()
    config.on_dns_resolvehost_start.append(_dns_starts)
    config.on_dns_resolvehost_end.append(_dns_ends)
    config.on_connection_create_start.append(_connect_starts)
    config.on_connection_create_end.append(_connect_ends)
    return config


async def _dns_starts(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: Any) -> None:
    context.dns_since_s = time.perf_counter()


async def _dns_ends(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: Any) -> None:
    current_span().child(names.DNS, start_s=context.dns_since_s).end()


async def _connect_starts(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: Any) -> None:
    context.connect_since_s = time.perf_counter()


async def _connect_ends(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: Any) -> None:
    current_span().child(names.CONNECT, start_s=context.connect_since_s).end()
