"""The service's vLLM runtime around the tiny test model, on an event loop that lives through a whole benchmark."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import uvloop

from benchmarks.runner import UnavailableError
from service.core.pixels import RgbPixels
from service.inference.vision.prompt import Prompt
from service.inference.vision.token_model import ModelFacts, ModelRequest
from service.inference.vllm.environment import prepare_environment
from service.settings.vllm import VllmSettings
from testing.prerequisites import missing_engine
from testing.tiny_model.tiny import model_folder

if TYPE_CHECKING:
    from service.inference.vllm.model import VllmModel

GIB = 1024**3
# An image of 256 vision tokens, the default budget.
SIDE = 512
# So many different pictures lie ready; what a picture shows costs no time, and its name makes it new to the caches.
PICTURES = 8
# Longer than anything that is asked here takes.
STALL_S = 120.0


@dataclass(frozen=True, slots=True)
class RunningModel:
    """A started model and the loop that it lives on."""

    runner: asyncio.Runner
    model: VllmModel
    facts: ModelFacts
    pictures: Sequence[RgbPixels]
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def engine(self) -> Any:
        """vLLM's `AsyncLLM` itself, for what its users do without the service."""
        return self.model._engine

    def ask(self, prompt: Prompt, pixels: RgbPixels | None = None) -> ModelRequest:
        """Return a question about a picture that the engine has never seen."""
        number = next(self.numbers)
        picture = self.pictures[number % len(self.pictures)] if pixels is None else pixels
        return ModelRequest(f"benchmark-{number}", prompt, picture, image_key=f"picture-{number}", adapter=None)

    def side_by_side(self, work: Callable[[], Awaitable[object]], times: int) -> int:
        """Do something so many times, as many at once as keep the engine busy; returns how many times."""
        return self.runner.run(self._side_by_side(work, times))

    async def _side_by_side(self, work: Callable[[], Awaitable[object]], times: int) -> int:
        places = asyncio.Semaphore(self.facts.concurrency)

        async def one() -> None:
            async with places:
                await work()

        await asyncio.gather(*(one() for _ in range(times)))
        return times


def tiny_settings() -> VllmSettings:
    """Return settings under which the tiny model keeps two cores busy."""
    return VllmSettings(
        model=str(model_folder()),
        # Of the default policy with its definitions, in the tiny model's coarse tokens, with a picture of 1,024.
        max_model_len=4096,
        # Steps of about 25 pictures: on a CPU more in a step gains nothing.
        max_batched_tokens=8192,
        max_sequences=64,
        # The tiny model was trained with pictures below Qwen3-VL's 64.
        min_vision_tokens=4,
        block_size=32,
        kv_cache_bytes=GIB,
        enforce_eager=True,
    )


@contextmanager
def running_model() -> Iterator[RunningModel]:
    """Start the model and end it afterwards; raises `UnavailableError` without vLLM."""
    require_engine()
    prepare_for_a_cpu()
    random = np.random.default_rng(1)
    pictures = [random.integers(0, 256, (SIDE, SIDE, 3), np.uint8) for _ in range(PICTURES)]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        model = runner.run(_build())
        try:
            yield RunningModel(runner, model, runner.run(model.start()), pictures)
        finally:
            runner.run(model.stop())


async def _build() -> VllmModel:
    from service.inference.vllm.model import VllmModel  # noqa: PLC0415 - where vLLM is missing it cannot be imported

    return VllmModel(tiny_settings(), stall_s=STALL_S, on_failure=print)


def require_engine() -> None:
    """Raise `UnavailableError` without vLLM."""
    if (reason := missing_engine()) is not None:
        raise UnavailableError(reason)


def prepare_for_a_cpu() -> None:
    """Set what vLLM reads from the environment when it is imported, for this process and those that it starts."""
    prepare_environment(tiny_settings(), os.environ)
    # Its lines would tear the table.
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    # Threads that share a core with broker and service wait for each other longer than they gain.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
