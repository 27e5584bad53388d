"""`python -m benchmarks.peers.image_server PORT`: an image, one that never begins, and one that drips, by HTTP."""

import asyncio
import contextlib
import io
import sys

from aiohttp import web
from PIL import Image

SIDE = 96
# Faster than a reader's time-out, and slow enough that the image never ends within the time for a whole fetch.
DRIP_S = 0.5


def small_image() -> bytes:
    """Return an image that costs next to nothing to decode: what is measured is who waits for whom."""
    file = io.BytesIO()
    Image.radial_gradient("L").resize((SIDE, SIDE)).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def serve(port: int) -> None:
    """Answer until the process is ended."""
    image = small_image()

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=image, content_type="image/jpeg")

    async def silent(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError("nothing wakes it")

    async def dripping(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(image))})
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):  # the service gave up
            for position in range(len(image)):
                await response.write(image[position : position + 1])
                await asyncio.sleep(DRIP_S)
        return response

    app = web.Application()
    app.router.add_get("/silent/{number}", silent)
    app.router.add_get("/dripping/{number}", dripping)
    app.router.add_get("/{number}", answer)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
