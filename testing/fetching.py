"""Images by HTTP from a real server on this machine, which these settings open."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from schemas.image_uploaded import ImageByUrlV1
from service.core.errors import ModstreamError
from service.media.fetch.fetcher import ImageFetcher
from service.settings.media import FetchSettings
from testing.http_server import Handler, LocalServer, serving
from testing.public_host import as_if_public

IMAGE = bytes(range(256)) * 300
LIMIT = 100_000
LOCAL = FetchSettings(
    allow_networks=("127.0.0.0/8",), max_bytes=LIMIT, timeout_s=10, read_timeout_s=10, max_redirects=3
)


@asynccontextmanager
async def fetching(
    handler: Handler, settings: FetchSettings = LOCAL
) -> AsyncIterator[tuple[ImageFetcher, LocalServer]]:
    """Run a web server that answers by the handler, and a fetcher beside it."""
    async with serving(handler) as server, ImageFetcher(settings) as fetcher:
        yield fetcher, server


async def failure(handler: Handler, settings: FetchSettings = LOCAL, *, path: str = "/i.jpg") -> ModstreamError:
    """Return the error that fetching from such a server raises."""
    async with fetching(handler, settings) as (fetcher, server):
        with pytest.raises(ModstreamError) as raised, as_if_public():
            await fetcher.fetch(ImageByUrlV1(url=server.url + path))
        return raised.value
