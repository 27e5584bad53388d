from collections.abc import AsyncIterator

import pytest

from service.media.decode_pool import ImageDecoder
from service.settings.media import DecodeSettings

HOSTILE_WORKER = "tests.integration.media.hostile_worker"
MEMORY_BYTES = 256 * 1024 * 1024


@pytest.fixture
async def decoder() -> AsyncIterator[ImageDecoder]:
    """A pool of two whose processes do what the hostile files order."""
    settings = DecodeSettings(workers=2, timeout_s=3.0, memory_bytes=MEMORY_BYTES, max_pixels=4_000_000)
    decoder = ImageDecoder(settings, worker_module=HOSTILE_WORKER)
    await decoder.start()
    yield decoder
    await decoder.close()
