"""The embedded engine: small classifiers in onnxruntime on CPU, one image a thread."""

import asyncio
import os
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.core.instructions import ModelInstructions
from service.core.pixels import ImageSpec, RgbPixels
from service.core.spans import Span, current_span
from service.inference.engine import EngineDescription, EngineLoad, EngineOutput, EngineRequest, Tag
from service.inference.errors import EngineConfigurationError, EngineFailedError, EngineNotRunningError
from service.inference.onnx.catalogue import SETTING, Catalogue, Classifier
from service.inference.onnx.classifiers import category_scores, probabilities, tags
from service.inference.onnx.library import onnxruntime, ort_errors
from service.inference.onnx.preprocessing import prepare
from service.telemetry import names

# onnxruntime's errors have no base of their own.
_ORT_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)
_LOG_ERRORS_ONLY = 3


@dataclass(frozen=True, slots=True)
class _Model:
    """A classifier with its session, which any number of threads may run at once."""

    classifier: Classifier
    session: onnxruntime.InferenceSession
    input_name: str
    output_name: str

    def run(self, pixels: RgbPixels) -> NDArray[np.float32]:
        """Return one probability a class."""
        batch = prepare(pixels, self.classifier.entry.preprocessing)
        (output,) = self.session.run([self.output_name], {self.input_name: batch})
        return probabilities(self.classifier, output[0])


class OnnxEngine:
    """Runs every classifier of a catalogue over each image, one image a thread and `threads` at a time.

    Images are not batched: on one thread a batch costs more an image than single runs do, and runs one by one give
    the same scores whatever else is in flight.
    """

    def __init__(self, catalogue: Catalogue, *, threads: int) -> None:
        self._catalogue = catalogue
        self._threads = threads or usable_cores()
        self._models: tuple[_Model, ...] = ()
        self._pool: ThreadPoolExecutor | None = None
        self._asked = 0
        self._description = _describe(catalogue, self._threads)

    def describe(self, instructions: ModelInstructions) -> EngineDescription:
        """Return the engine's description, which is the same for all instructions."""
        del instructions
        return self._description

    def load(self) -> EngineLoad:
        """Return the requests that have a thread and those that wait for one."""
        running = min(self._asked, self._threads)
        return EngineLoad(running, self._asked - running)

    async def start(self) -> None:
        """Check and load the models; raise `EngineConfigurationError` for a file or an entry that is wrong."""
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="onnx")
        loop = asyncio.get_running_loop()
        try:
            loads = [loop.run_in_executor(pool, _load, classifier) for classifier in self._catalogue.classifiers]
            self._models = tuple(await asyncio.gather(*loads))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        self._pool = pool

    async def prepare(self, instructions: ModelInstructions) -> None:
        """Do nothing: the classifiers need no preparation."""

    def forget(self, instructions: ModelInstructions) -> None:
        """Do nothing, as `prepare` does."""

    async def judge(self, request: EngineRequest) -> EngineOutput:
        """Judge one image on a thread of the engine's own.

        Cancelled, a request that still waits is never run; one that runs ends within milliseconds, unheard.
        """
        if self._pool is None:
            raise EngineNotRunningError
        self._asked += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._pool, self._judge, request, current_span(), time.perf_counter()
            )
        finally:
            self._asked -= 1

    async def explain(self, request: EngineRequest, categories: Sequence[str]) -> Mapping[str, str]:
        """Return no explanations, because classifiers write no text."""
        del request, categories
        return {}

    async def stop(self) -> None:
        """Wait for running requests; waiting ones end with `EngineNotRunningError`."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown)
        self._models = ()

    def _judge(self, request: EngineRequest, span: Span, since_s: float) -> EngineOutput:
        span.waited(names.WAIT_ENGINE, since_s)
        if self._pool is None:
            raise EngineNotRunningError
        try:
            return _run(self._models, request)
        except _ORT_ERRORS as error:
            raise EngineFailedError(detail=_in_one_line(error)) from error


def _describe(catalogue: Catalogue, threads: int) -> EngineDescription:
    return EngineDescription(
        kind="onnx",
        model_name="+".join(classifier.entry.name for classifier in catalogue.classifiers),
        model_revision=catalogue.revision,
        covers=catalogue.covers,
        hints=catalogue.hints,
        image_spec=ImageSpec(max_pixels=catalogue.max_pixels, is_square=True),
        # As many again wait in the pool's queue, so that no thread idles while the event loop is busy.
        concurrency=2 * threads,
        attribute_schema=catalogue.attribute_schema,
    )


def _run(models: tuple[_Model, ...], request: EngineRequest) -> EngineOutput:
    scores: dict[str, float] = {}
    found: dict[str, tuple[Tag, ...]] = {}
    for model in models:
        entry = model.classifier.entry
        wants_scores = request.wants_scores and bool(entry.categories)
        if not wants_scores and not (request.wants_tags and entry.tags):
            continue
        probability = model.run(request.pixels)
        if wants_scores:
            scores |= category_scores(model.classifier, probability)
        if request.wants_tags and entry.tags:
            found[entry.tags.attribute] = tags(entry.tags, model.classifier.labels, probability)
    return EngineOutput(scores if request.wants_scores else None, found)


def _load(classifier: Classifier) -> _Model:
    """Load a model and run it once: the first run is slow, and shows that input and output are as described."""
    try:
        session = _session(classifier.read_model())
        inputs = [given.name for given in session.get_inputs()]
        if len(inputs) != 1:
            raise _misfit(classifier, f"it takes {', '.join(inputs)}, but one image is all there is")
        model = _Model(classifier, session, inputs[0], session.get_outputs()[0].name)
        shape = model.run(np.zeros((1, 1, 3), np.uint8)).shape
    except (*_ORT_ERRORS, EngineFailedError) as error:
        raise _misfit(classifier, _in_one_line(error)) from error
    if shape != (len(classifier.labels),):
        raise _misfit(classifier, f"its output has shape {shape}, but there are {len(classifier.labels)} labels")
    return model


def _session(content: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # One thread a run, as several images run at once; more would only contend for the same cores.
    options.intra_op_num_threads = 1
    options.log_severity_level = _LOG_ERRORS_ONLY
    # Byte weights become floats once here, not in every run, which would take twice the time.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _misfit(classifier: Classifier, detail: str) -> EngineConfigurationError:
    return EngineConfigurationError(setting=SETTING, detail=f"{classifier.entry.name}: {detail}")
