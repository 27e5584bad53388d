"""Decoders that are killed from outside while they work."""

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator

import pytest

from service.core.pixels import ImageSpec
from service.media.decode_pool import ImageDecoder
from service.media.errors import DecodeOomKilledError, DecoderKilledError
from service.media.types import DecodedImage, FetchedImage
from service.settings.media import DecodeSettings
from tests.integration.media.conftest import HOSTILE_WORKER
from tests.integration.media.hostile_worker import LINGER
from tests.integration.media.processes import kill_at_work
from tests.unit.media.image_files import RED, encoded, plain

SPEC = ImageSpec(max_pixels=256 * 256, multiple_of=16)
GOOD = encoded(plain(RED), "PNG")


@pytest.fixture
async def decoder() -> AsyncIterator[ImageDecoder]:
    """A pool of two with time to spare, however busy the machine is."""
    decoder = ImageDecoder(DecodeSettings(workers=2, timeout_s=60.0), worker_module=HOSTILE_WORKER)
    await decoder.start()
    yield decoder
    await decoder.close()


async def decode(decoder: ImageDecoder, data: bytes) -> DecodedImage:
    return await decoder.decode(FetchedImage(data), SPEC)


async def test_sound_images_whose_decoders_are_killed_at_work_are_decoded_all_the_same(decoder: ImageDecoder) -> None:
    tasks = [asyncio.create_task(decode(decoder, LINGER + GOOD), name=f"decode-{place}") for place in range(6)]
    await asyncio.sleep(0)
    await kill_at_work(decoder, count=2)
    assert [image.width for image in await asyncio.gather(*tasks)] == [32] * 6


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGUSR1, signal.SIGUSR2])
async def test_an_image_whose_decoders_are_killed_twice_is_tried_later(
    decoder: ImageDecoder, number: signal.Signals
) -> None:
    task = asyncio.create_task(decode(decoder, LINGER + GOOD), name="decode")
    for _ in range(2):
        await kill_at_work(decoder, count=1, number=number)
    with pytest.raises(DecoderKilledError, match=f"signal {int(number)}"):
        await task
    assert (await decode(decoder, GOOD)).width == 32


async def test_after_the_oom_killer_an_image_is_tried_again_alone_and_then_given_up() -> None:
    kills = itertools.count()
    decoder = ImageDecoder(
        DecodeSettings(workers=2, timeout_s=60.0), worker_module=HOSTILE_WORKER, oom_kills=lambda: next(kills)
    )
    await decoder.start()
    hungry = asyncio.create_task(decode(decoder, LINGER + GOOD), name="hungry")
    await kill_at_work(decoder, count=1)
    other = asyncio.create_task(decode(decoder, GOOD), name="other")
    await kill_at_work(decoder, count=1)
    assert not other.done(), "it had to wait: the suspect works alone"
    with pytest.raises(DecodeOomKilledError):
        await hungry
    assert (await other).width == 32
    await decoder.close()


async def test_closing_waits_for_an_image_that_is_tried_again_alone() -> None:
    kills = itertools.count()
    settings = DecodeSettings(workers=2, timeout_s=60.0)
    decoder = ImageDecoder(settings, worker_module=HOSTILE_WORKER, oom_kills=lambda: next(kills))
    await decoder.start()
    hungry = asyncio.create_task(decode(decoder, LINGER + GOOD), name="hungry")
    await asyncio.sleep(0)
    closing = asyncio.create_task(decoder.close(), name="close")
    await kill_at_work(decoder, count=1)
    await asyncio.wait_for(closing, timeout=60)
    assert (await hungry).width == 32
