"""A smaller engine beside the main one, for first passes: while it does not work, nothing waits for it.

It is started and prepared by a task of its own, which begins again when that fails. An engine of this process is the
exception at the start: its files are there or are not, so that a failure ends the start.
"""

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

import structlog

from service.core.availability import RequestClock
from service.core.errors import FatalError, ModstreamError, TransientError
from service.core.instructions import ModelInstructions
from service.core.losses import EngineLosses
from service.inference.engine import Engine, EngineDescription, EngineOutput, EngineRequest
from service.inference.errors import EngineConfigurationError, EngineFailedError
from service.inference.first_pass.pause import Pause

log = structlog.get_logger(__name__)

_PAUSE_S, _MAX_PAUSE_S = 10.0, 300.0
"""Until an engine that did not start is started again; twice as long after each failure."""
_AGAIN_S = 60.0
"""Until instructions that it could not be prepared for are tried again."""


_SETTING = re.compile(r"\bengine\.(openai\.|onnx\.|kind\b)")


class SmallerEngine:
    """Keeps an engine open, and answers while it is."""

    def __init__(
        self,
        build: Callable[[], Engine],
        *,
        timeout_s: float,
        wait_s: float,
        must_start: bool,
        pause: Pause | None = None,
    ) -> None:
        """`build` returns an engine that is not started.

        A judgement has `timeout_s`. The start, and new instructions, wait for the engine for `wait_s`. With
        `must_start` an engine that does not start ends the start.
        """
        self._build = build
        self._timeout_s = timeout_s
        self._wait_s = wait_s
        self._must_start = must_start
        self._pause = pause or Pause()
        self._engine: Engine | None = None
        self._wanted: Counter[ModelInstructions] = Counter()
        self._prepared: dict[ModelInstructions, EngineDescription] = {}
        self._failed: set[ModelInstructions] = set()
        """What the last attempt could not prepare."""
        self._is_late = False
        """A wait for it was in vain, and nothing has been prepared since."""
        self._changed = asyncio.Condition()
        self._wake = asyncio.Event()
        self._opening: asyncio.Future[None] | None = None
        """Done after the first attempt to start."""
        self._running: asyncio.Task[None] | None = None

    def warnings(self) -> list[str]:
        """Return why it does not answer, for /health: without details, as that of the HTTP API needs no key."""
        if self._engine is None or not self._engine.load().is_reachable:
            return ["engine.first_pass does not answer: every image gets the full pass"]
        if len(self._prepared) < len(self._wanted):
            return ["engine.first_pass cannot be prepared for every policy: see first_pass.not_prepared in the log"]
        if self._pause.is_on:
            return ["engine.first_pass failed several times in a row: it pauses, and every image gets the full pass"]
        return []

    async def start(self) -> None:
        """Begin to start it. Raises its error where `must_start`."""
        self._opening = asyncio.get_running_loop().create_future()
        self._running = asyncio.create_task(self._keep_open(), name="first-pass-engine")
        if self._must_start:
            await self._opening

    async def prepare(self, instructions: ModelInstructions) -> None:
        """Wait until it is prepared for instructions, or cannot be, or time is up. Raises nothing.

        Time is up once for all that comes after, until it works: a service may have a thousand policies. Each call is
        undone by one of `forget`; one that is cancelled undoes itself.
        """
        self._wanted[instructions] += 1
        self._failed.discard(instructions)
        self._wake.set()
        if self._is_late:
            return
        try:
            async with asyncio.timeout(self._wait_s), self._changed:
                await self._changed.wait_for(lambda: instructions in self._prepared or instructions in self._failed)
        except TimeoutError:
            self._is_late = True
            log.warning("first_pass.not_ready", waited_s=self._wait_s)
        except asyncio.CancelledError:  # the preparation of a policy has a time limit of its own
            self.forget(instructions)
            raise

    def forget(self, instructions: ModelInstructions) -> None:
        """Undo one `prepare`."""
        self._wanted[instructions] -= 1
        if self._wanted[instructions] <= 0:
            del self._wanted[instructions]
            self._failed.discard(instructions)
            if self._prepared.pop(instructions, None) is not None and self._engine is not None:
                self._engine.forget(instructions)

    def describe(self, instructions: ModelInstructions) -> EngineDescription | None:
        """Return its description for instructions; None while it could not answer a request with them."""
        engine = self._engine
        if engine is None or self._pause.is_on or not engine.load().is_reachable:
            return None
        return self._prepared.get(instructions)

    async def judge(self, request: EngineRequest) -> EngineOutput:
        """Judge within the time limit; raises `RejectedError` and `TransientError` alone.

        What the engine loses is no loss of the record's, and what it waits for suspends no time limit of the record.
        """
        engine = self._engine
        if engine is None:
            raise EngineFailedError(detail="the engine of the first pass is not running")
        request = _apart(request)
        try:
            async with asyncio.timeout(self._timeout_s):
                output = await engine.judge(request)
        except TimeoutError:
            self._pause.failed()
            raise EngineFailedError(
                detail=f"no answer in {self._timeout_s:g} s (engine.first_pass.timeout_s)"
            ) from None
        except TransientError:
            self._pause.failed()
            raise
        except FatalError as error:
            self._close(engine, error)
            raise EngineFailedError(detail=str(error)) from error
        self._pause.worked()
        return output

    async def stop(self) -> None:
        """Stop it. Allowed before `start`."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.wait([running])

    async def _keep_open(self) -> None:
        pause_s = _PAUSE_S
        while True:
            try:
                async with self._opened() as engine:
                    pause_s = _PAUSE_S
                    await self._serve(engine)
            except Exception as error:  # noqa: BLE001 - whatever fails here, images get the full pass
                if self._fails_the_start(error):
                    return
                log.warning("first_pass.not_started", error=error, again_in_s=pause_s)
            await self._report(failed=[*self._wanted])
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _MAX_PAUSE_S)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Engine]:
        """Start an engine, and stop it at the end of the block."""
        with settings_renamed():
            engine = self._build()
        try:
            with settings_renamed():
                await engine.start()
            self._engine = engine
            if self._opening is not None and not self._opening.done():
                self._opening.set_result(None)
            log.info("first_pass.started")
            yield engine
        finally:
            self._engine = None
            self._prepared.clear()
            await engine.stop()

    def _fails_the_start(self, error: Exception) -> bool:
        if self._opening is None or self._opening.done() or not self._must_start:
            return False
        self._opening.set_exception(error)
        return True

    async def _serve(self, engine: Engine) -> None:
        """Prepare the engine for what is wanted, until it fails."""
        while self._engine is engine:
            self._wake.clear()
            for instructions in [*(self._wanted.keys() - self._prepared.keys())]:
                await self._prepare(engine, instructions)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_S):
                    await self._wake.wait()

    async def _prepare(self, engine: Engine, instructions: ModelInstructions) -> None:
        try:
            with settings_renamed():
                await engine.prepare(instructions)
        except ModstreamError as error:
            log.warning("first_pass.not_prepared", error=error, again_in_s=_AGAIN_S)
            await self._report(failed=[instructions])
            return
        if instructions not in self._wanted:
            engine.forget(instructions)
            return
        self._prepared[instructions] = engine.describe(instructions)
        self._is_late = False
        await self._report()

    async def _report(self, *, failed: Iterable[ModelInstructions] = ()) -> None:
        """Let those go on who wait for instructions."""
        self._failed.update(failed)
        async with self._changed:
            self._changed.notify_all()

    def _close(self, engine: Engine, error: FatalError) -> None:
        """Have an engine that cannot go on replaced."""
        if self._engine is engine:
            log.warning("first_pass.stopped", error=error)
            self._engine = None
            self._wake.set()


@contextmanager
def settings_renamed() -> Iterator[None]:
    """Have errors name the settings of the first pass where an engine names those of the main one."""
    try:
        yield
    except EngineConfigurationError as error:
        raise EngineConfigurationError(
            **{name: _SETTING.sub(r"engine.first_pass.\1", str(fact)) for name, fact in error.facts.items()}
        ) from error


def _apart(request: EngineRequest) -> EngineRequest:
    return replace(request, losses=EngineLosses(), clock=RequestClock())
