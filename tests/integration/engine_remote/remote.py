"""Models that tests reach over HTTP, and questions to them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import numpy as np

from service.inference.openai.model import OpenAIModel
from service.inference.vision.prompt import Prompt
from service.inference.vision.token_model import ModelFacts, ModelRequest
from service.settings.openai import OpenAISettings
from testing.openai_server import ModelServer

QUICK: dict[str, Any] = {
    "request_timeout_s": 20.0,
    "startup_timeout_s": 30.0,
    "health_interval_s": 0.05,
    "return_after_s": 0.05,
    "max_return_after_s": 0.1,
}
"""Settings with which nothing takes long."""

LABELS = ("A", "B", "C")


def settings(*servers: ModelServer | str, **changed: Any) -> OpenAISettings:
    urls = tuple(server if isinstance(server, str) else server.url for server in servers)
    return OpenAISettings.model_validate({"base_urls": urls, **QUICK, **changed})


@asynccontextmanager
async def started(*servers: ModelServer | str, **changed: Any) -> AsyncIterator[tuple[OpenAIModel, ModelFacts]]:
    """Start a model; stop it when the block ends."""
    model = OpenAIModel(settings(*servers, **changed))
    try:
        yield model, await model.start()
    finally:
        await model.stop()


def ask(
    colour: Sequence[int] = (200, 100, 50), *, key: str = "image", caption: str = "Which?", adapter: str | None = None
) -> ModelRequest:
    """Return a question about an image whose first pixel has a colour."""
    pixels = np.full((64, 96, 3), 7, np.uint8)
    pixels[0, 0] = colour
    return ModelRequest("test", Prompt("Judge.", caption), pixels, key, adapter)


def large(**options: Any) -> ModelRequest:
    """Return a question about an image of 256 vision tokens: its request is larger than 1 MiB."""
    return replace(ask(**options), pixels=np.full((512, 512, 3), 7, np.uint8))


async def read(model: OpenAIModel, asked: ModelRequest) -> dict[str, float]:
    """Return the chances of the labels."""
    words = await model.prepare(asked.adapter, LABELS)
    return {label: np.exp(value) for label, value in (await model.read(asked, words)).items()}


async def read_many(model: OpenAIModel, count: int) -> list[object]:
    """Ask about so many new images side by side; return answers and errors."""
    words = {label: ord(label) for label in LABELS}  # the fake servers' tokens, whether one answers or not
    asks = (model.read(ask(key=str(uuid4())), words) for _ in range(count))
    return await asyncio.gather(*asks, return_exceptions=True)
