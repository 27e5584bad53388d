"""Where uploads lie: a web server of this machine that can become slow, or refuse."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from PIL import Image

from testing.http_server import serving

SIDE = 96


PHOTOGRAPHS = Path(__file__).parents[1] / "service/tools/demo/photographs"


class ImageHost:
    """Answers `/missing/…` with 404, `/refused/…` with 500, `/photo/NAME/…` with a photograph, others with an image."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.url = ""
        self._image = _image()
        self._photographs = {path.stem: path.read_bytes() for path in sorted(PHOTOGRAPHS.glob("*.jpg"))}

    @property
    def photographs(self) -> tuple[str, ...]:
        """Names of the photographs that there are."""
        return tuple(self._photographs)

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Wait, then answer."""
        await asyncio.sleep(self.delay_s)
        if request.path.startswith("/missing/"):
            return web.Response(status=404)
        if request.path.startswith("/refused/"):
            return web.Response(status=500)
        _, kind, name, *_ = request.path.split("/")
        body = self._photographs[name] if kind == "photo" else self._image
        return web.Response(body=body, content_type="image/jpeg")


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
