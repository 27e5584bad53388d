"""What goes wrong, and when: planned from a seed, so that a run can be repeated."""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from testing.chaos.broker import Bouncer
from testing.chaos.fleet import Fleet, Seat

MIN_WORKERS = 2
MAX_WORKERS = 3
JOINED_AFTER_S = 2.5


class Act(StrEnum):
    """One kind of misfortune."""

    KILL = "kill -9"
    PAUSE = "pause"
    JOIN = "join"
    LEAVE = "leave"
    BROKER_KILL = "broker kill -9"
    BROKER_RESTART = "broker restart"


# Shuffled anew each time it is used up: no run is without one of these. A worker leaves only after one has joined.
DECK = (Act.KILL, Act.PAUSE, Act.JOIN, Act.BROKER_KILL, Act.KILL, Act.PAUSE, Act.LEAVE, Act.KILL, Act.BROKER_RESTART)


@dataclass(frozen=True, slots=True)
class Step:
    """One planned misfortune."""

    at_s: float
    act: Act
    choice: float
    """Picks the victim among those there are, workers or brokers, in [0, 1)."""
    hold_s: float
    """How long a pause lasts beyond the session timeout, or a killed broker stays down."""


def plan(seed: int, *, duration_s: float, mean_gap_s: float) -> tuple[Step, ...]:
    """Return the steps of a run; the same for the same arguments."""
    dice = random.Random(seed)
    steps: list[Step] = []
    deck: list[Act] = []
    at_s = 0.0
    while (at_s := at_s + dice.uniform(0.5, 1.5) * mean_gap_s) < duration_s:
        deck = deck or dice.sample(DECK, len(DECK))
        steps.append(Step(at_s, deck.pop(), dice.random(), dice.uniform(0.5, 3.5)))
    return tuple(steps)


class Nemesis:
    """Carries out a plan."""

    def __init__(self, steps: tuple[Step, ...], *, fleet: Fleet, bouncer: Bouncer, session_timeout_s: float) -> None:
        self.done: Counter[Act] = Counter()
        self._steps = steps
        self._fleet = fleet
        self._bouncer = bouncer
        self._session_timeout_s = session_timeout_s

    async def run(self) -> None:
        """Take all steps at their times; what takes long goes on beside the next ones."""
        start = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for step in self._steps:
                await asyncio.sleep(max(0.0, start + step.at_s - time.monotonic()))
                group.create_task(self._take(step), name=step.act)

    async def _take(self, step: Step) -> None:
        match step.act:
            case Act.KILL | Act.PAUSE:
                await self._strike(step)
            case Act.JOIN | Act.LEAVE:
                self._resize(step)
            case Act.BROKER_KILL:
                self.done[step.act] += 1
                await self._bouncer.kill_and_start(step.choice, down_s=step.hold_s)
            case Act.BROKER_RESTART:
                self.done[step.act] += 1
                await self._bouncer.restart(step.choice)

    async def _strike(self, step: Step) -> None:
        victim = self._pick(step)
        if victim is None:
            return
        self.done[step.act] += 1
        if step.act is Act.KILL:
            victim.kill()
            return
        victim.pause()
        await asyncio.sleep(self._session_timeout_s + step.hold_s)
        victim.resume()

    def _resize(self, step: Step) -> None:
        size = len(self._fleet.staying)
        if step.act is Act.JOIN and size < MAX_WORKERS:
            self.done[step.act] += 1
            self._fleet.join()
        victim = self._pick(step)
        if step.act is Act.LEAVE and size > MIN_WORKERS and victim is not None:
            self.done[step.act] += 1
            victim.leave()

    def _pick(self, step: Step) -> Seat | None:
        candidates = [seat for seat in self._fleet.staying if seat.can_be_struck]
        # Who has not even joined the group yet makes a poor victim.
        victims = [seat for seat in candidates if seat.age_s > JOINED_AFTER_S] or candidates
        return victims[int(step.choice * len(victims))] if victims else None
