"""An engine that answers after a set time and judges no image, for load tests and benchmarks without a GPU."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from service.core.instructions import ModelInstructions
from service.core.spans import current_span
from service.inference.engine import EngineDescription, EngineLoad, EngineOutput, EngineRequest
from service.inference.errors import EngineNotRunningError
from service.inference.vision.image_input import image_spec
from service.settings.engine import RehearsalSettings
from service.telemetry import names

# What a Qwen3-VL gets by default, so that decoding costs what it would cost there.
IMAGE_SPEC = image_spec(vision_tokens=256)

NOTHING_JUDGED = EngineOutput(scores=None)


class RehearsalEngine:
    """Answers as a GPU would pace it: batches run one after the other, each with whatever waits when it starts.

    `sleep` stands for the time that a batch takes.
    """

    def __init__(
        self, settings: RehearsalSettings, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._settings = settings
        self._sleep = sleep
        self._waiting: deque[asyncio.Future[EngineOutput]] = deque()
        self._batch: list[asyncio.Future[EngineOutput]] = []
        self._batch_began_s = 0.0
        self._arrival = asyncio.Event()
        self._batches: asyncio.Task[None] | None = None
        self._description = _describe(settings)

    def describe(self, instructions: ModelInstructions) -> EngineDescription:
        """Return the engine's description, which is the same for all instructions."""
        del instructions
        return self._description

    def load(self) -> EngineLoad:
        """Return the running batch, and the requests for the next one."""
        return EngineLoad(running=_unanswered(self._batch), waiting=_unanswered(self._waiting))

    async def start(self) -> None:
        """Start to run batches."""
        self._batches = asyncio.create_task(self._run_batches(), name="rehearsal-batches")

    async def prepare(self, instructions: ModelInstructions) -> None:
        """Do nothing: the engine needs no preparation."""

    def forget(self, instructions: ModelInstructions) -> None:
        """Do nothing, as `prepare` does."""

    async def judge(self, request: EngineRequest) -> EngineOutput:
        """Answer when the request's batch ends; a cancelled request frees its place."""
        if self._batches is None:
            raise EngineNotRunningError
        answer: asyncio.Future[EngineOutput] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self._arrival.set()
        since_s = time.perf_counter()
        output = await answer
        current_span().waited(names.WAIT_ENGINE, since_s, self._batch_began_s)
        return output

    async def explain(self, request: EngineRequest, categories: Sequence[str]) -> Mapping[str, str]:
        """Return no explanations."""
        del request, categories
        return {}

    async def stop(self) -> None:
        """Stop; requests in flight end with `EngineNotRunningError`."""
        task, self._batches = self._batches, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])
        for answer in (*self._batch, *self._waiting):
            if not answer.done():
                answer.set_exception(EngineNotRunningError())

    async def _run_batches(self) -> None:
        while True:
            await self._arrival.wait()
            self._batch = self._take_batch()
            self._batch_began_s = time.perf_counter()
            if not self._waiting:
                self._arrival.clear()
            if self._batch:
                await self._sleep(self._settings.batch_s)
            for answer in self._batch:
                if not answer.done():
                    answer.set_result(NOTHING_JUDGED)

    def _take_batch(self) -> list[asyncio.Future[EngineOutput]]:
        """Take those who waited longest; cancelled requests are done already and take no place."""
        batch: list[asyncio.Future[EngineOutput]] = []
        while self._waiting and len(batch) < self._settings.batch_size:
            answer = self._waiting.popleft()
            if not answer.done():
                batch.append(answer)
        return batch


def _unanswered(answers: Iterable[asyncio.Future[EngineOutput]]) -> int:
    # Copied in one step: the event loop may add to it meanwhile.
    return sum(not answer.done() for answer in list(answers))


def _describe(settings: RehearsalSettings) -> EngineDescription:
    return EngineDescription(
        kind="rehearsal",
        model_name="rehearsal",
        model_revision=f"{settings.batch_size}x{settings.batch_s}s",
        covers=frozenset(),
        hints=frozenset(),
        image_spec=IMAGE_SPEC,
        # One batch runs while the next one gathers.
        concurrency=2 * settings.batch_size,
    )
