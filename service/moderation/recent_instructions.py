"""What an engine on trial is prepared for: the instructions of the images that it saw last."""

from service.core.instructions import ModelInstructions
from service.inference.engine import Engine

_MOST = 256
"""Instructions at a time, each some 50 kB. Live policies may change for as long as a service runs."""


class RecentInstructions:
    """Prepares an engine when instructions come, and has it forget those that did not come for the longest time."""

    def __init__(self, engine: Engine, *, most: int = _MOST) -> None:
        self._engine = engine
        self._most = most
        self._held: dict[ModelInstructions, None] = {}
        """The latest last."""

    async def prepare(self, instructions: ModelInstructions) -> None:
        """Return once the engine is prepared; raises what its `prepare` raises."""
        if instructions not in self._held:
            await self._engine.prepare(instructions)
            if instructions in self._held:  # another image of the same policy came meanwhile
                self._engine.forget(instructions)
        self._held.pop(instructions, None)
        self._held[instructions] = None
        if len(self._held) > self._most:
            self._forget(next(iter(self._held)))

    def clear(self) -> None:
        """Have the engine forget all; others may go on with it."""
        for instructions in [*self._held]:
            self._forget(instructions)

    def _forget(self, instructions: ModelInstructions) -> None:
        del self._held[instructions]
        self._engine.forget(instructions)
