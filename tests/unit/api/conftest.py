"""Tests of connections run on the event loop that the service has."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Choose by the name of the module: test_server.py runs on Python's own loop, its companions on uvloop."""
    if item.path.name.startswith("test_server_"):
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}
