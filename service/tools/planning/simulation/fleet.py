"""All processes of a group in ticks, cohort by cohort: who reads what, rebalances, losses, scaling.

A hundred million images a day cannot be followed one by one. Here a process takes in each tick as many images of its
partitions as it can judge in that time; what an image then spends inside the process is added afterwards, from the
simulation of one process image by image.
"""

from collections import defaultdict, deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass

import simpy

from service.settings.kafka import KafkaSettings
from service.tools.planning.incidents import REBALANCE_S
from service.tools.planning.simulation.arrivals import Rate
from service.tools.planning.simulation.scaler import Scaler

Shares = dict[int, list[int]]
"""Partitions by member."""


def share_out(partitions: int, members: Sequence[int], before: Mapping[int, Sequence[int]]) -> Shares:
    """Return the shares of a sticky assignment; empty when the group has no members."""
    if not members:
        return {}
    least, larger = divmod(partitions, len(members))
    # Those who had most may keep one more than the others.
    by_size = sorted(members, key=lambda member: -len(before.get(member, ())))
    sizes = {member: least + (place < larger) for place, member in enumerate(by_size)}
    shares = {member: list(before.get(member, ()))[: sizes[member]] for member in members}
    kept = {partition for share in shares.values() for partition in share}
    free = iter([partition for partition in range(partitions) if partition not in kept])
    for member in members:
        shares[member].extend(next(free) for _ in range(sizes[member] - len(shares[member])))
    return shares


Cohort = tuple[float, float]
"""When its images were uploaded, and how many they are."""


class Backlog:
    """One partition's cohorts, oldest first."""

    __slots__ = ("_cohorts", "images")

    def __init__(self) -> None:
        self._cohorts: deque[Cohort] = deque()
        self.images = 0.0

    def add(self, at_s: float, images: float) -> None:
        """Append a cohort."""
        if images > 0:
            self._cohorts.append((at_s, images))
            self.images += images

    def take(self, images: float) -> list[Cohort]:
        """Remove so many of the oldest, or all; a cohort may be split."""
        taken = []
        while images > 0 and self._cohorts:
            at_s, count = self._cohorts.popleft()
            if count > images:
                self._cohorts.appendleft((at_s, count - images))
                count = images
            images -= count
            self.images -= count
            taken.append((at_s, count))
        if not self._cohorts:
            self.images = 0.0  # what rounding left over
        return taken


def take_in_turn(backlogs: Sequence[Backlog], images: float) -> Iterable[Cohort]:
    """Take so many from all of them, equally many from each as far as there are: a process asks one after the other."""
    waiting = sorted(backlogs, key=lambda backlog: backlog.images)
    for place, backlog in enumerate(waiting):
        if images <= 0:
            return
        part = min(backlog.images, images / (len(waiting) - place))
        images -= part
        yield from backlog.take(part)


Steps = Generator[simpy.Event, object, None]


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """A group of processes of one kind."""

    partitions: int
    processes: int
    """At the beginning."""
    images_per_s: float
    """Of each."""
    start_s: float
    """From the decision to add a process until it joins."""
    inside_s: float = 1.0
    """That an image spends in a process, on average: what is in flight counts as lag for the scaler."""
    rebalance_s: float = REBALANCE_S
    """No member reads meanwhile: all give back their partitions and get new ones."""
    session_s: float = KafkaSettings().session_timeout_s
    """Until the group notices that a member has vanished."""
    tick_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Loss:
    """A process that vanishes, and its replacement."""

    at_s: float
    for_s: float


@dataclass(slots=True)
class Sample:
    """What happened in one tick."""

    at_s: float
    offered: float
    judged: float
    lag: float
    processes: int
    """That are paid for."""
    waits: list[Cohort]
    """Seconds that images waited on the brokers, and how many they were."""


class Fleet:
    """The group, its partitions, and what was seen of both."""

    def __init__(
        self, settings: FleetSettings, rate: Rate, *, scaler: Scaler | None = None, losses: Sequence[Loss] = ()
    ) -> None:
        self.settings = settings
        self.samples: list[Sample] = []
        self.rebalances = 0
        self._rate = rate
        self._scaler = scaler
        self._losses = losses
        self._shares: Shares = {}
        self._members: list[int] = []
        self._gone: set[int] = set()
        self._starting = 0
        self._paused_until_s = 0.0
        self._next_member = 0

    def run(self, duration_s: float) -> list[Sample]:
        """Simulate so long."""
        env = simpy.Environment()
        backlogs = [Backlog() for _ in range(self.settings.partitions)]
        self._join(env, self.settings.processes)
        self._paused_until_s = 0.0
        env.process(self._ticks(env, backlogs))
        if self._scaler is not None:
            env.process(self._scale(env, self._scaler))
        for loss in self._losses:
            env.process(self._lose(env, loss))
        env.run(until=duration_s)
        return self.samples

    @property
    def paid(self) -> int:
        """Processes that run or start."""
        return len(self._members) - len(self._gone) + self._starting

    def _ticks(self, env: simpy.Environment, backlogs: list[Backlog]) -> Steps:
        tick_s = self.settings.tick_s
        while True:
            yield env.timeout(tick_s)
            began_s = env.now - tick_s
            offered = self._rate(began_s + tick_s / 2) * tick_s
            for backlog in backlogs:
                backlog.add(began_s + tick_s / 2, offered / len(backlogs))
            waits = self._judge(env.now, backlogs)
            judged = sum(count for _, count in waits)
            lag = sum(backlog.images for backlog in backlogs)
            self.samples.append(Sample(env.now, offered, judged, lag, self.paid, waits))

    def _judge(self, now_s: float, backlogs: list[Backlog]) -> list[Cohort]:
        """Let every process that reads take what it can in the tick that ends now."""
        tick_s = self.settings.tick_s
        paused_from_s = max(self._paused_until_s - self.settings.rebalance_s, now_s - tick_s)
        paused_s = max(0.0, min(now_s, self._paused_until_s) - paused_from_s)
        quota = self.settings.images_per_s * (tick_s - paused_s)
        waits: defaultdict[float, float] = defaultdict(float)
        for member in self._shares.keys() - self._gone:
            share = [backlogs[partition] for partition in self._shares[member]]
            for at_s, count in take_in_turn(share, quota):
                waits[round(now_s - tick_s / 2 - at_s, 1)] += count
        return list(waits.items())

    def _join(self, env: simpy.Environment, count: int) -> None:
        self._members.extend(range(self._next_member, self._next_member + count))
        self._next_member += count
        self._rebalance(env)

    def _rebalance(self, env: simpy.Environment) -> None:
        self.rebalances += 1
        self._paused_until_s = env.now + self.settings.rebalance_s
        self._shares = share_out(self.settings.partitions, self._members, self._shares)

    def _leave(self, env: simpy.Environment, members: list[int]) -> None:
        self._members = [member for member in self._members if member not in members]
        self._gone.difference_update(members)
        self._rebalance(env)

    def _lose(self, env: simpy.Environment, loss: Loss) -> Steps:
        yield env.timeout(loss.at_s)
        lost = self._members[0]
        self._gone.add(lost)
        yield env.timeout(self.settings.session_s)
        self._leave(env, [lost])
        yield env.timeout(loss.for_s - self.settings.session_s)
        self._join(env, 1)

    def _scale(self, env: simpy.Environment, scaler: Scaler) -> Steps:
        while True:
            yield env.timeout(scaler.settings.polling_s)
            if not self.samples:
                continue
            last = self.samples[-1]
            in_flight = last.judged / self.settings.tick_s * self.settings.inside_s
            wanted = scaler.wanted(env.now, last.lag + in_flight, last.offered / self.settings.tick_s, self.paid)
            if wanted > self.paid:
                env.process(self._start(env, wanted - self.paid))
            elif wanted < self.paid and not self._starting:
                self._leave(env, self._members[wanted:])

    def _start(self, env: simpy.Environment, count: int) -> Steps:
        self._starting += count
        yield env.timeout(self.settings.start_s)
        self._starting -= count
        self._join(env, count)
