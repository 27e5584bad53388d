"""What further views cost: decoding and judging of pictures that are judged once, on two grounds, and in parts.

The figures are processor time, because that is what further views take; the engine is the embedded one.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO

import numpy as np
from PIL import Image

from benchmarks.decode import photograph
from benchmarks.runner import Comparison, Contender, TimedRun
from service.inference.engine import EngineRequest
from service.inference.onnx.catalogue import load_catalogue
from service.inference.onnx.engine import OnnxEngine
from service.media.image import DecodeLimits, decode_image
from service.policy.loader import load_policies
from service.settings.media import DecodeSettings
from service.settings.settings import PolicySettings

SIZE = (1600, 1200)
LONG = (3600, 1200)
STICKER = (512, 512)


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Yield the comparison, with a running engine of one thread."""
    engine = OnnxEngine(load_catalogue(None), threads=1)
    with asyncio.Runner() as runner:
        runner.run(engine.start())

        def judging(data: bytes) -> Callable[[], TimedRun]:
            return lambda: _judge(runner, engine, data)

        try:
            yield [
                Comparison(
                    title="Views: decode and judge, processor time",
                    contenders=(
                        Contender("opaque photograph, 1 look", judging(photograph(SIZE))),
                        Contender("transparent sticker, 2 looks", judging(_sticker())),
                        Contender("panorama of 3:1, 5 looks", judging(photograph(LONG))),
                    ),
                )
            ]
        finally:
            runner.run(engine.stop())


def _sticker() -> bytes:
    """Return a light and dark shape on transparent ground."""
    shape = Image.new("RGBA", STICKER)
    picture = Image.open(BytesIO(photograph(STICKER))).convert("RGBA")
    edge = STICKER[0] // 8
    inside = (edge, edge, STICKER[0] - edge, STICKER[1] - edge)
    shape.paste(picture.crop(inside), inside)
    shape.paste("white", (inside[0], inside[1], inside[2], 2 * edge))
    shape.paste("black", (inside[0], inside[3] - edge, inside[2], inside[3]))
    file = BytesIO()
    shape.save(file, "PNG")
    return file.getvalue()


def _judge(runner: asyncio.Runner, engine: OnnxEngine, data: bytes) -> TimedRun:
    began_s = time.process_time()
    instructions = load_policies(PolicySettings()).default.instructions
    spec, settings = engine.describe(instructions).image_spec, DecodeSettings()
    limits = DecodeLimits(
        settings.max_pixels,
        settings.max_frames,
        spec.max_pixels,
        spec.multiple_of,
        max_views=settings.max_views,
        is_square=spec.is_square,
    )
    image = decode_image(data, limits)
    for number, (pixels, (width, height)) in enumerate(zip(image.pixels, image.frame_sizes, strict=True)):
        frame = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
        runner.run(engine.judge(EngineRequest(str(number), frame, instructions, str(number), math.inf)))
    return TimedRun(1, time.process_time() - began_s)
