"""An engine on trial holds what it needs for the policies that it saw last."""

import asyncio
from collections import Counter
from dataclasses import replace

from service.core.instructions import ModelInstructions
from service.moderation.recent_instructions import RecentInstructions
from testing.engine import PaintedEngine
from testing.vision import INSTRUCTIONS


class Preparing(PaintedEngine):
    """Counts who has it prepared for what."""

    def __init__(self) -> None:
        super().__init__()
        self.prepared: Counter[ModelInstructions] = Counter()
        self.calls = 0

    async def prepare(self, instructions: ModelInstructions) -> None:
        """Count, a turn of the loop later."""
        self.calls += 1
        await asyncio.sleep(0)
        self.prepared[instructions] += 1

    def forget(self, instructions: ModelInstructions) -> None:
        """Count back."""
        self.prepared[instructions] -= 1
        self.prepared += Counter()


def numbered(number: int) -> ModelInstructions:
    return replace(INSTRUCTIONS, vision_tokens=number + 4)


async def test_the_instructions_that_came_last_stay_prepared() -> None:
    engine = Preparing()
    recent = RecentInstructions(engine, most=3)
    for number in (0, 1, 2, 0, 3, 4):
        await recent.prepare(numbered(number))
    assert engine.prepared == Counter([numbered(0), numbered(3), numbered(4)])
    assert engine.calls == 5


async def test_images_that_come_together_have_it_prepared_once() -> None:
    engine = Preparing()
    recent = RecentInstructions(engine)
    await asyncio.gather(*(recent.prepare(numbered(0)) for _ in range(5)))
    assert engine.prepared == Counter([numbered(0)])


async def test_an_engine_that_others_go_on_with_keeps_theirs() -> None:
    engine = Preparing()
    await engine.prepare(numbered(0))
    recent = RecentInstructions(engine)
    for number in (0, 1):
        await recent.prepare(numbered(number))
    recent.clear()
    assert engine.prepared == Counter([numbered(0)])
