"""What one image costs vLLM's single processing thread: pre-sized by the service, or as it comes."""

import io
import time
from collections.abc import Callable

import numpy as np
from PIL import Image

from benchmarks.decode import SPEC, photograph
from benchmarks.runner import Comparison, Contender, TimedRun
from benchmarks.vision.model import RunningModel
from service.inference.vision.prompt import prompter
from service.media.image import DecodeLimits, decode_image
from service.settings.media import DecodeSettings
from testing.asking import INSTRUCTIONS

IMAGES = 5
PHOTOGRAPH = (4000, 3000)


class _Preparing:
    """Prepares requests as the engine's users do, one after the other, and generates nothing."""

    def __init__(self, running: RunningModel) -> None:
        self._running = running
        asker = prompter(INSTRUCTIONS)
        text = (
            f"<|im_start|>system\n{asker.system}<|im_end|>\n<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>"
            f"{asker.which(None).question}<|im_end|>\n<|im_start|>assistant\n"
        )
        self._ids = running.engine.get_tokenizer().encode(text)

    def once(self, image: Image.Image, key: str | None) -> None:
        """Prepare one request; without a key vLLM hashes the image for its caches."""
        self._running.runner.run(self._render(image, key))

    async def _render(self, image: Image.Image, key: str | None) -> None:
        from vllm.renderers.inputs.preprocess import parse_model_prompt  # noqa: PLC0415 - needs vLLM

        engine = self._running.engine
        prompt: dict[str, object] = {"prompt_token_ids": list(self._ids), "multi_modal_data": {"image": [image]}}
        if key is not None:
            prompt["multi_modal_uuids"] = {"image": [key]}
        await engine.renderer.render_cmpl_async([parse_model_prompt(engine.model_config, prompt)])


def preparing(running: RunningModel) -> tuple[Comparison, ...]:
    """Compare the service's way with vLLM's own for a 12-megapixel photograph."""
    data, bench = photograph(PHOTOGRAPH), _Preparing(running)
    large, small = _plainly(data), _as_the_service_does(data)
    tint = iter(range(1_000_000))

    def own(decode: Callable[[], Image.Image]) -> Callable[[], TimedRun]:
        def once() -> None:
            picture = decode()
            # Or the caches would know it from the last time.
            picture.putpixel((0, 0), (next(tint) % 256, 0, next(tint) % 251))
            bench.once(picture, None)

        return _timed(once)

    def ours(decode: Callable[[], Image.Image]) -> Callable[[], TimedRun]:
        return _timed(lambda: bench.once(decode(), f"preparing-{next(tint)}"))

    return (
        Comparison(
            "a 12-megapixel photograph in vLLM's processing thread",
            (
                Contender(f"pre-sized to {small.width} × {small.height}, with a uuid", ours(lambda: small)),
                Contender("as it was decoded", own(lambda: large)),
            ),
            unit="ms an image",
        ),
        Comparison(
            "the same with decoding, one core",
            (
                Contender("reduced decode, resized, with a uuid", ours(lambda: _as_the_service_does(data))),
                Contender("decoded in full, vLLM resizes and hashes", own(lambda: _plainly(data))),
            ),
            unit="ms an image",
        ),
    )


def _timed(once: Callable[[], None]) -> Callable[[], TimedRun]:
    def run() -> TimedRun:
        start = time.perf_counter()
        for _ in range(IMAGES):
            once()
        return TimedRun(units=(time.perf_counter() - start) * 1000, seconds=IMAGES)

    return run


def _plainly(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def _as_the_service_does(data: bytes) -> Image.Image:
    settings = DecodeSettings()
    plain = decode_image(data, DecodeLimits(settings.max_pixels, 1, SPEC.max_pixels, SPEC.multiple_of))
    width, height = plain.frame_sizes[0]
    return Image.fromarray(np.frombuffer(plain.pixels[0], np.uint8).reshape(height, width, 3))
