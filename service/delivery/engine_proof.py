"""Shows whether the engine of this process works at all; only then can a record be at fault for its death."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from service.core.errors import FatalError
from service.delivery.engine_turns import EngineTurns

log = structlog.get_logger(__name__)

Probe = Callable[[], Awaitable[object]]
"""Has the engine judge an image of the service's own; raises what the engine fails with."""


class EngineProof:
    """Holds once the engine has judged something well: a record, or an image of the service's own."""

    def __init__(self, turns: EngineTurns, *, wait_s: float) -> None:
        """`wait_s` is how long records are waited for before the service's own image is judged."""
        self._turns = turns
        self._wait_s = wait_s
        self._probe: Probe | None = None
        self._probing = asyncio.Lock()
        self._given = asyncio.Event()

    def probe_with(self, probe: Probe) -> None:
        """Set the function that probes the engine. Without one, `wait` returns after its time limit."""
        self._probe = probe

    def give(self) -> None:
        """Record that the engine has judged something well."""
        if not self._given.is_set():
            self._given.set()

    async def wait(self) -> None:
        """Return once the engine has judged something well; probe it after each time limit, raising its
        `FatalError`.
        """
        while not self._given.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._wait_s):
                    await self._given.wait()
            if self._probe is None:
                return
            async with self._probing:
                if not self._given.is_set():
                    await self._run(self._probe)

    async def _run(self, probe: Probe) -> None:
        await self._turns.share()  # not beside a record that is judged alone
        try:
            await probe()
        except FatalError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the engine is not shown to work
            log.warning("engine.probe_failed", error=error)
        else:
            self.give()
        finally:
            self._turns.leave()
