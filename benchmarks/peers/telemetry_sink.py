"""`python -m benchmarks.peers.telemetry_sink PORT METRICS_PORT`: takes any OTLP, and scrapes the service meanwhile.

As a collector and a Prometheus on other machines would: what arrives is dropped.
"""

import asyncio
import sys

from aiohttp import ClientError, ClientSession, web

# Prometheus' own default is a minute, most have 15 s.
SCRAPE_EVERY_S = 5.0


async def _take(request: web.Request) -> web.Response:
    await request.read()
    return web.Response()


async def main(port: int, metrics_port: int) -> None:
    """Serve until terminated."""
    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.router.add_post("/{path:.*}", _take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    async with ClientSession() as session:
        while True:
            await _scrape(session, f"http://127.0.0.1:{metrics_port}/metrics")
            await asyncio.sleep(SCRAPE_EVERY_S)


async def _scrape(session: ClientSession, url: str) -> None:
    try:
        async with session.get(url) as response:
            await response.read()
    except ClientError:
        pass  # the service is not there yet, or no more


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
