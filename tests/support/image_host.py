"""Where uploads lie: a web server of this machine that can become slow, or refuse."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from PIL import Image

from tests.support.http_server import serving

SIDE = 96


class ImageHost:
    """Answers any path with an image; `/missing/…` with 404, `/refused/…` with 500."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.url = ""
        self._image = _image()

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Wait, then answer."""
        await asyncio.sleep(self.delay_s)
        if request.path.startswith("/missing/"):
            return web.Response(status=404)
        if request.path.startswith("/refused/"):
            return web.Response(status=500)
        return web.Response(body=self._image, content_type="image/jpeg")


@asynccontextmanager
async def hosting_images() -> AsyncIterator[ImageHost]:
    """Serve until the block ends."""
    host = ImageHost()
    async with serving(host.answer) as server:
        host.url = server.url
        yield host


def _image() -> bytes:
    file = io.BytesIO()
    Image.radial_gradient("L").resize((SIDE, SIDE)).convert("RGB").save(file, "JPEG")
    return file.getvalue()
