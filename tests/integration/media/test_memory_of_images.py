"""What large images, fetched from a real server and decoded, take of the memory: as much as docs/deploy.md says."""

import asyncio
import io
import sys
from pathlib import Path

import pytest
from PIL import Image

from service.settings.delivery import WindowSettings
from testing.http_server import body, serving

ROOT = Path(__file__).parents[3]
MIB = 1024 * 1024
IMAGES = 28
# 24.9 MiB, just under what is fetched.
SIDE = 2950
# What the interpreter and aiohttp take besides, and what one image may go beyond.
BESIDE_MIB = 25 + 40


def large_image() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), (90, 60, 30)).save(file, "BMP")
    return file.getvalue()


@pytest.mark.timeout(300)
async def test_references_to_large_images_take_no_more_memory_than_the_window_allows() -> None:
    image = large_image()
    async with serving(body(image)) as server:
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "testing.large_images", f"{server.url}/42.bmp", str(IMAGES)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await worker.communicate()
    before_mib, peak_mib, judged = map(int, output.decode().splitlines()[-1].split())
    assert judged == IMAGES
    assert IMAGES * len(image) > 2.5 * WindowSettings().max_bytes, "all at once would take far more"
    assert peak_mib - before_mib <= WindowSettings().max_bytes / MIB + BESIDE_MIB
