"""The embedded engine: images a second by threads, and what each choice in it is worth."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import numpy as np

from benchmarks.runner import Comparison, Contender
from service.core.pixels import RgbPixels
from service.inference.onnx.catalogue import Catalogue, load_catalogue
from service.inference.onnx.engine import OnnxEngine, usable_cores
from service.inference.onnx.library import onnxruntime
from service.inference.onnx.preprocessing import prepare
from testing.asking import engine_request

IMAGES = 48
"""A round lasts about half a second."""
BATCH = 8
MIN_UNPACKED_ONCE = 1.5
"""Of byte weights that become floats once, at load, instead of in every run."""


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Compare threads, models, and two choices that the engine makes."""
    catalogue, pixels = load_catalogue(None), _photograph_like()
    cores = usable_cores()
    with ExitStack() as stack:
        engines = _Engines(stack, pixels)
        one = engines.contender("1 thread", catalogue, threads=1)
        yield (
            Comparison(
                f"both models, {cores} threads",
                (one, engines.contender(f"{cores} threads", catalogue, threads=cores)),
            ),
            Comparison(
                "models alone, 1 thread",
                (one, *(engines.contender(name, part, threads=1) for name, part in _parts(catalogue))),
            ),
            Comparison(
                "nsfwjs-mobilenet-v2-mid, byte weights",
                (
                    Contender("unpacked in every run", _runs(catalogue, pixels, unpack_once=False, batch=1)),
                    Contender("unpacked once (as built)", _runs(catalogue, pixels, unpack_once=True, batch=1)),
                ),
                target_ratio=MIN_UNPACKED_ONCE,
            ),
            Comparison(
                "nsfwjs-mobilenet-v2-mid, batches on 1 thread",
                (
                    Contender("one by one (as built)", _runs(catalogue, pixels, unpack_once=True, batch=1)),
                    Contender(f"batches of {BATCH}", _runs(catalogue, pixels, unpack_once=True, batch=BATCH)),
                ),
            ),
        )


class _Engines:
    """Engines on one event loop, all stopped in the end."""

    def __init__(self, stack: ExitStack, pixels: RgbPixels) -> None:
        self._stack = stack
        self._runner = stack.enter_context(asyncio.Runner())
        self._request = engine_request(pixels, wants_tags=True)

    def contender(self, name: str, catalogue: Catalogue, *, threads: int) -> Contender:
        """Start an engine that judges all images at once."""
        engine = OnnxEngine(catalogue, threads=threads)
        self._runner.run(engine.start())
        self._stack.callback(lambda: self._runner.run(engine.stop()))

        async def judge() -> int:
            return len(await asyncio.gather(*(engine.judge(self._request) for _ in range(IMAGES))))

        return Contender(name, lambda: self._runner.run(judge()))


def _parts(catalogue: Catalogue) -> Iterator[tuple[str, Catalogue]]:
    for classifier in catalogue.classifiers:
        yield classifier.entry.name, replace(catalogue, classifiers=(classifier,))


def _runs(catalogue: Catalogue, pixels: RgbPixels, *, unpack_once: bool, batch: int) -> Callable[[], int]:
    """Run the first model bare, preprocessing included."""
    classifier = catalogue.classifiers[0]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if unpack_once:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnxruntime.InferenceSession(classifier.read_model(), options, providers=["CPUExecutionProvider"])

    def run() -> int:
        for _ in range(IMAGES // batch):
            images = np.concatenate([prepare(pixels, classifier.entry.preprocessing) for _ in range(batch)])
            session.run(None, {"input": images})
        return IMAGES

    return run


def _photograph_like() -> RgbPixels:
    """Return noise of the size that decoding delivers; what a picture shows costs no time."""
    return np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
