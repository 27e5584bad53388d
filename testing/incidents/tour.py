"""Pictures of every dashboard, and of `modstream top`, from a service that judges photographs and meets some faults."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

from testing.feed import Upload
from testing.image_host import ImageHost
from testing.incidents.pictures import Window, picture
from testing.incidents.run import draw_top
from testing.observed import by_url, observing

# What the embedded engine does beside everything else on two cores.
PACE = 6.0
LOOKED_AT_S = 75.0
SETTINGS: Mapping[str, object] = {"engine": {"kind": "onnx", "onnx": {"threads": 1}}}
BOARDS = ("service", "decisions", "cost")


def upload(images: ImageHost, number: int) -> Upload:
    """Return photographs of two tenants, and now and then what cannot be judged."""
    if number % 30 == 0:
        return f"{number}".encode(), b"no event"
    if number % 20 == 1:
        return by_url(images, number, path="missing")
    if number % 20 == 2:
        return by_url(images, number, path="refused")
    name = images.photographs[number % len(images.photographs)]
    return by_url(images, number, path=f"photo/{name}", tenant="acme" if number % 3 else "bazaar")


async def draw_all(folder: Path, out: Path) -> None:
    """Run two processes for a while, and draw."""
    async with observing(folder, upload=upload, pace=PACE, processes=2, settings=SETTINGS) as observed:
        for port in observed.ports:
            observed.start(port)
            await observed.ready(port)
        began_s = time.time()
        await asyncio.sleep(LOOKED_AT_S)
        await draw_top(observed, out / "top.svg", "modstream top")
        window = Window(began_s, time.time())
        for board in BOARDS:
            await picture(board, window, observed.prometheus, out / f"dashboard-{board}.png")
