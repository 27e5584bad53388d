"""`python -m testing.chaos.hostile.servers`: the web of the hostile hour, in a process of its own.

One host serves images; the others accept connections and drip, stay silent, or answer 103 without end. The servers of
a model are started by `ModelFleet` as processes, because they go and come.
"""

import argparse
import asyncio
import contextlib
import io
import sys
from collections.abc import Callable, Coroutine, Sequence
from ipaddress import IPv4Address

from aiohttp import web
from PIL import Image

from testing.http_server import serving
from testing.openai_server import model_server

Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]

GOOD_HOST = "127.0.0.1"
# Different addresses of the loopback network are different hosts to the service.
FIRST_HOSTILE_HOST = IPv4Address("127.0.0.10")
HOSTILE_HOSTS = 24

DRIP_EVERY_S = 0.5
# A flood that leaves this process time to serve the good images.
INTERIM_EVERY_S = 0.0005
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 1000000\r\n\r\n"
# Red, green and blue are the chances of the first three answers in thousandths; see testing.openai_server.
_CLEAR_ANSWER = (250, 250, 250)


def good_image() -> bytes:
    """Return the PNG that good uploads show: small, because the machine has other work."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), _CLEAR_ANSWER).save(file, "PNG")
    return file.getvalue()


def hostile_host(number: int) -> str:
    """Return the address of one of the hostile hosts; numbers above the last begin anew."""
    return str(FIRST_HOSTILE_HOST + number % HOSTILE_HOSTS)


async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a byte at a time."""
    writer.write(_HEAD)
    while True:
        writer.write(b"\x89")
        await writer.drain()
        await asyncio.sleep(DRIP_EVERY_S)


async def stay_silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Accept, and say nothing."""
    await asyncio.Event().wait()


async def flood_with_interim_answers(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Announce an answer again and again."""
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 4)
        await writer.drain()
        await asyncio.sleep(INTERIM_EVERY_S)


BEHAVIOURS: tuple[Client, ...] = (drip, stay_silent, flood_with_interim_answers)


async def _serve(port: int) -> None:
    image = good_image()

    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response(body=image, content_type="image/png")

    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(serving(answer, host=GOOD_HOST, port=port))
        for number in range(HOSTILE_HOSTS):
            behave = _ending_quietly(BEHAVIOURS[number % len(BEHAVIOURS)])
            server = await asyncio.start_server(behave, hostile_host(number), port, backlog=512)
            stack.callback(server.close)
        await asyncio.Event().wait()


def _ending_quietly(behave: Client) -> Client:
    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await behave(reader, writer)

    return client


async def _serve_model(port: int) -> None:
    async with model_server(port=port):
        await asyncio.Event().wait()


def main(arguments: Sequence[str]) -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("web", "model"))
    parser.add_argument("port", type=int)
    given = parser.parse_args(arguments)
    asyncio.run(_serve(given.port) if given.kind == "web" else _serve_model(given.port))


if __name__ == "__main__":
    main(sys.argv[1:])
