"""10,000 broken images of every allowed format through the real pool: each ends as an image or a rejection."""

import asyncio
import logging
import os
import random
import resource
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import pytest
import pytest_asyncio

from service.core.errors import RejectedError
from service.core.pixels import ImageSpec
from service.media.decode_pool import ImageDecoder
from service.media.types import DecodedImage, FetchedImage
from service.settings.media import DecodeSettings
from tests.integration.media.mutations import cuts, mutate, originals
from tests.unit.media.test_bombs import BOMBS, gif_frame_bomb

# Shown when a test fails, and by pytest --log-cli-level=info.
log = logging.getLogger(__name__)

MIB = 1024 * 1024
MUTATIONS = 10_000
# Another seed finds other holes: FUZZ_SEED=… pytest tests/integration/media
SEED = int(os.environ.get("FUZZ_SEED", "20260"))
SPEC = ImageSpec(max_pixels=64 * 64, multiple_of=8)
SETTINGS = DecodeSettings(workers=2, timeout_s=5.0, memory_bytes=256 * MIB, max_pixels=1_000_000)
# Beyond its limit a process holds what it started with.
START_BYTES = 64 * MIB

ORIGINALS = originals()


# One pool for the whole module, and one loop under it: a process start costs more than a hundred small images.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def decoder() -> AsyncIterator[ImageDecoder]:
    decoder = ImageDecoder(SETTINGS)
    await decoder.start()
    yield decoder
    await decoder.close()


async def outcome(decoder: ImageDecoder, data: bytes) -> str:
    """Return the reason code, or "decoded"; anything else is an error of the test's subject."""
    try:
        image = await decoder.decode(FetchedImage(data), SPEC)
    except RejectedError as error:
        return error.reason
    assert isinstance(image, DecodedImage)
    assert all(height * width <= SPEC.max_pixels for height, width, _ in (frame.shape for frame in image.frames))
    return "decoded"


async def outcomes(decoder: ImageDecoder, files: Iterable[bytes]) -> Counter[str]:
    """Decode a handful at a time, which is enough to keep the pool busy."""
    waiting, counts = iter(files), Counter[str]()

    async def work() -> None:
        for data in waiting:
            counts[await outcome(decoder, data)] += 1

    async with asyncio.TaskGroup() as group:
        for place in range(4):
            group.create_task(work(), name=f"decode-{place}")
    return counts


def peak_memory_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


@pytest.mark.parametrize("name", ORIGINALS)
async def test_mutated_images_end_as_image_or_rejection(decoder: ImageDecoder, name: str) -> None:
    own_peak_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    count = -(-MUTATIONS // len(ORIGINALS))
    log.info("%s: seed %s, %s mutations", name, SEED, count)
    rng = random.Random(f"{SEED} {name}")
    counts = await outcomes(decoder, (mutate(name, ORIGINALS[name], rng) for _ in range(count)))
    log.info("%s: %s", name, dict(counts))
    assert counts.total() == count
    assert counts["image.corrupt"] > 0
    assert await outcome(decoder, ORIGINALS[name]) == "decoded"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - own_peak_before < 64 * MIB
    assert max(map(peak_memory_bytes, decoder.process_ids)) < SETTINGS.memory_bytes + START_BYTES


@pytest.mark.parametrize("name", ORIGINALS)
async def test_files_cut_at_every_boundary_end_as_image_or_rejection(decoder: ImageDecoder, name: str) -> None:
    counts = await outcomes(decoder, cuts(name, ORIGINALS[name]))
    if name.startswith(("gif-animated", "jpeg", "png")):
        assert min(counts["image.corrupt"], counts["decoded"]) > 0  # what there is of the picture is judged
    else:
        assert counts["image.corrupt"] > counts["decoded"]


@pytest.mark.parametrize("bomb", [*BOMBS, gif_frame_bomb], ids=lambda bomb: bomb.__name__)
async def test_bombs_are_refused_and_take_no_memory(decoder: ImageDecoder, bomb: Callable[[], bytes]) -> None:
    before = decoder.process_ids
    assert await outcome(decoder, bomb()) in {"image.too_many_pixels", "image.corrupt"}
    assert decoder.process_ids == before
