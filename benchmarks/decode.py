"""Decoding per core: our reduced path against a plain decode and resize, and what the pool costs on top."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO

import numpy as np
from PIL import Image

from benchmarks.runner import Comparison, Contender
from service.core.pixels import ImageSpec
from service.media.decode_pool import ImageDecoder
from service.media.image import DecodeLimits, decode_image
from service.media.types import FetchedImage
from service.settings.media import DecodeSettings

PHOTOGRAPHS = {"2 MP": (1600, 1200), "12 MP": (4000, 3000)}
SPEC = ImageSpec(max_pixels=512 * 512, multiple_of=32)
PROMISED_AT_12_MP = 3.0

# What cameras write.
JPEG_QUALITY = 90
# As in photographs, each octave of detail adds about as much contrast as the last; with this much of it, 12 megapixels
# take 3.5 MB, as a phone's do.
OCTAVES = 9
CONTRAST = 12.0


def photograph(size: tuple[int, int], *, seed: int = 7) -> bytes:
    """Return a JPEG that costs what a photograph costs: noise with a photograph's spectrum, grain included."""
    random = np.random.default_rng(seed)
    field = np.zeros((size[1], size[0], 3), np.float32)
    for octave in range(OCTAVES):
        shape = (max(2, size[1] >> octave), max(2, size[0] >> octave), 3)
        noise = random.normal(128, CONTRAST, shape).clip(0, 255).astype(np.uint8)
        field += np.asarray(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC), np.float32) - 128
    picture = Image.fromarray((field / 2 + 128).clip(0, 255).astype(np.uint8))
    file = BytesIO()
    picture.save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def plain_decode(data: bytes) -> int:
    """Decode at full size and resize: what a service does that gives it no thought."""
    with Image.open(BytesIO(data)) as image:
        image.convert("RGB").resize((576, 448), Image.Resampling.BICUBIC).tobytes()
    return 1


def reduced_decode(data: bytes) -> int:
    """Decode as the service does, in this process."""
    settings = DecodeSettings()
    limits = DecodeLimits(settings.max_pixels, settings.max_frames, SPEC.max_pixels, SPEC.multiple_of)
    decode_image(data, limits)
    return 1


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Yield the comparisons, with a running pool."""
    photographs = {name: photograph(size) for name, size in PHOTOGRAPHS.items()}
    with asyncio.Runner() as runner:
        one = ImageDecoder(DecodeSettings(workers=1))
        all_cores = ImageDecoder(DecodeSettings())
        runner.run(one.start())
        runner.run(all_cores.start())
        try:
            yield [
                *(_reduced_against_plain(name, data) for name, data in photographs.items()),
                *(_pool_against_none(name, data, runner, one, all_cores) for name, data in photographs.items()),
            ]
        finally:
            runner.run(one.close())
            runner.run(all_cores.close())


def _reduced_against_plain(name: str, data: bytes) -> Comparison:
    return Comparison(
        title=f"{name} JPEG, {len(data) / 1e6:.1f} MB, one core",
        contenders=(
            Contender("full decode and resize", lambda: plain_decode(data)),
            Contender("reduced decode", lambda: reduced_decode(data)),
        ),
        target_ratio=PROMISED_AT_12_MP if name == "12 MP" else None,
    )


def _pool_against_none(
    name: str, data: bytes, runner: asyncio.Runner, one: ImageDecoder, all_cores: ImageDecoder
) -> Comparison:
    return Comparison(
        title=f"{name} JPEG through the pool",
        contenders=(
            Contender("no pool", lambda: reduced_decode(data)),
            Contender("pool of 1, one after the other", lambda: runner.run(_decode_many(one, data, 1))),
            Contender("pool of all cores, 16 at once", lambda: runner.run(_decode_many(all_cores, data, 16))),
        ),
    )


async def _decode_many(decoder: ImageDecoder, data: bytes, count: int) -> int:
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(decoder.decode(FetchedImage(data), SPEC), name=f"decode-{number}")
    return count
