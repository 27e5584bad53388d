"""Scrapes several processes at intervals."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence

import aiohttp

from service.tools.top.arithmetic import ScrapeInterval
from service.tools.top.figures import Figures, figures
from service.tools.top.scrape import Clock, EndpointUnreadableError, Scrape, look

# Rates over less jump about; over more they lag behind.
RATES_OVER_S = 10.0


class History:
    """The recent scrapes of one process, from which rates are computed."""

    def __init__(self, *, over_s: float = RATES_OVER_S) -> None:
        self._over_s = over_s
        self._looks: deque[Scrape] = deque()

    def add(self, scrape: Scrape) -> ScrapeInterval:
        """Add the newest scrape; return it together with the one to compare with."""
        self._looks.append(scrape)
        while len(self._looks) > 2 and scrape.at_s - self._looks[1].at_s >= self._over_s:  # noqa: PLR2004 - a pair
            self._looks.popleft()
        return ScrapeInterval(self._looks[0], scrape)

    def forget(self) -> None:
        """Remove all scrapes, because the next one may be of another process."""
        self._looks.clear()


class Watch:
    """Scrapes several processes together."""

    def __init__(self, urls: Sequence[str], session: aiohttp.ClientSession, *, clock: Clock = time.monotonic) -> None:
        self._session = session
        self._clock = clock
        self._histories: Mapping[str, History] = {url: History() for url in urls}

    async def look(self) -> Figures:
        """Scrape all of them once; processes that do not respond are named and left out."""
        stretches: dict[str, ScrapeInterval] = {}
        unreadable: dict[str, str] = {}
        urls = list(self._histories)
        for url, answer in zip(urls, await asyncio.gather(*map(self._ask, urls)), strict=True):
            if isinstance(answer, EndpointUnreadableError):
                self._histories[url].forget()
                unreadable[url] = answer.why
            else:
                stretches[url] = self._histories[url].add(answer)
        return figures(stretches, unreadable)

    async def _ask(self, url: str) -> Scrape | EndpointUnreadableError:
        try:
            return await look(self._session, url, clock=self._clock)
        except EndpointUnreadableError as error:
            return error


async def watching(urls: Sequence[str], *, every_s: float) -> AsyncIterator[Figures]:
    """Yield the figures at intervals."""
    async with aiohttp.ClientSession() as session:
        watch = Watch(urls, session)
        while True:
            yield await watch.look()
            await asyncio.sleep(every_s)
