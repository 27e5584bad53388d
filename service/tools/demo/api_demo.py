"""The course of the API's demo: every photograph by every client, and what came back."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.tools.demo.api_clients import CurlAnswer, OpenAIAnswer, ask_by_curl, ask_by_openai, page_status
from service.tools.demo.api_process import DemoApi
from service.tools.demo.run import DemoProgress

_AT_ONCE = 2
"""Requests by curl at the same time."""


@dataclass(frozen=True, slots=True)
class ApiAnswers:
    """The answers for each photograph."""

    by_curl: Mapping[str, CurlAnswer]
    by_openai: Mapping[str, OpenAIAnswer]
    page_status: str
    """HTTP status of the page."""

    @property
    def requests(self) -> int:
        """The number of requests: two for each photograph, and one for the page."""
        return len(self.by_curl) + len(self.by_openai) + 1

    @property
    def failures(self) -> Sequence[str]:
        """What failed, and why."""
        found = [f"curl, {name}: {answer.error}" for name, answer in self.by_curl.items() if answer.error]
        found += [f"OpenAI's client, {name}: {answer.error}" for name, answer in self.by_openai.items() if answer.error]
        return [*found, *([] if self.page_status == "200" else [f"page: {self.page_status}"])]


async def ask_everything(api: DemoApi, photographs: Sequence[Path], progress: DemoProgress) -> ApiAnswers:
    """Send every photograph by curl and by OpenAI's client; raises `DemoFailedError` if a client is missing."""
    progress.step("asking by curl and by OpenAI's client")
    places = asyncio.Semaphore(_AT_ONCE)

    async def in_turn(photograph: Path) -> CurlAnswer:
        async with places:
            return await ask_by_curl(api, photograph)

    status = await page_status(api)
    by_openai, by_curl = await asyncio.gather(
        ask_by_openai(api, photographs), asyncio.gather(*map(in_turn, photographs))
    )
    names = [photograph.name for photograph in photographs]
    return ApiAnswers(dict(zip(names, by_curl, strict=True)), dict(zip(names, by_openai, strict=True)), status)
