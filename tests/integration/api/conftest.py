"""Floods run on the event loop that the service has: what they cost depends on it."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Choose by the name of the module."""
    return {"loop": uvloop.new_event_loop if item.path.name == "test_floods.py" else asyncio.new_event_loop}
