"""One process of the service, image by image: window, fetch, decoders, the engine's steps, commits.

What is simulated follows `service.delivery.processor` and `service.delivery.committer`: a record takes a slot of the
window from its reception until its outcome is handed over, and its outcome waits for the next commit.
"""

import random
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field

import simpy

from service.tools.planning.simulation.costs import StageCosts

Steps = Generator[simpy.Event, object, None]


@dataclass(slots=True)
class Observed:
    """What a simulation saw."""

    latencies: list[tuple[float, float]] = field(default_factory=list)
    """Moment of upload, and seconds until the outcome was committed."""
    arrived: int = 0
    most_in_flight: int = 0
    engine_busy_s: float = 0.0
    decoding_s: float = 0.0
    ended_s: float = 0.0

    @property
    def finished(self) -> int:
        """Images whose outcome is committed."""
        return len(self.latencies)


class ProcessSimulation:
    """One process, and the images that come to its partitions."""

    def __init__(self, costs: StageCosts, *, seed: int = 1) -> None:
        self._costs = costs
        self._chance = random.Random(seed)  # noqa: S311 - draws a workload, guards nothing
        self._env = simpy.Environment()
        self._window = simpy.Resource(self._env, costs.window)
        self._interpreter = simpy.Resource(self._env, 1)
        self._decoders = simpy.Resource(self._env, costs.decoders)
        self._engine_places = simpy.Resource(self._env, costs.engine.in_flight)
        self._requests: deque[simpy.Event] = deque()
        self._staying: deque[tuple[int, simpy.Event]] = deque()
        self._asked = self._env.event()
        self._outcomes: list[float] = []
        self._landed = self._env.event()
        self._step = 0
        self.seen = Observed()

    def run(self, arrivals: Iterable[float]) -> Observed:
        """Let these images come, and go on until the last is committed."""
        self._env.process(self._engine())
        self._env.process(self._commits())
        receiving = self._env.process(self._receive(arrivals))
        self._env.run(receiving)
        while self.seen.finished < self.seen.arrived:
            self._env.step()
        self.seen.ended_s = self._env.now
        return self.seen

    def _receive(self, arrivals: Iterable[float]) -> Steps:
        for arrived_s in arrivals:
            self.seen.arrived += 1
            due_s = arrived_s + self._costs.receive_s
            if due_s > self._env.now:
                yield self._env.timeout(due_s - self._env.now)
            slot = self._window.request()
            yield slot
            self.seen.most_in_flight = max(self.seen.most_in_flight, self._window.count)
            self._env.process(self._image(arrived_s, slot))

    def _image(self, arrived_s: float, slot: simpy.resources.resource.Request) -> Steps:
        costs, env = self._costs, self._env
        yield from self._hold(self._interpreter, costs.event_s / 2)
        yield env.timeout(costs.fetch_s(self._chance))
        yield from self._hold(self._decoders, costs.decode_s)
        self.seen.decoding_s += costs.decode_s
        with self._engine_places.request() as place:
            yield place
            yield self._ask()
        yield from self._hold(self._interpreter, costs.event_s / 2)
        self._window.release(slot)
        self._outcomes.append(arrived_s)
        if not self._landed.triggered:
            self._landed.succeed()

    def _hold(self, resource: simpy.Resource, seconds: float) -> Steps:
        with resource.request() as turn:
            yield turn
            yield self._env.timeout(seconds)

    def _ask(self) -> simpy.Event:
        answer = self._env.event()
        self._requests.append(answer)
        if not self._asked.triggered:
            self._asked.succeed()
        return answer

    def _engine(self) -> Steps:
        costs, env = self._costs.engine, self._env
        while True:
            if not self._requests and not self._staying:
                self._asked = env.event()
                yield self._asked
            new = [self._requests.popleft() for _ in range(min(costs.step_images, len(self._requests)))]
            step_s = max(costs.shortest_step_s, len(new) * costs.image_s)
            yield env.timeout(step_s)
            self._step += 1
            self.seen.engine_busy_s += step_s
            self._answer(new)

    def _answer(self, new: list[simpy.Event]) -> None:
        costs = self._costs.engine
        for answer in new:
            if costs.long_share and self._chance.random() < costs.long_share:
                self._staying.append((self._step + costs.long_steps, answer))
            else:
                answer.succeed()
        while self._staying and self._staying[0][0] <= self._step:
            self._staying.popleft()[1].succeed()

    def _commits(self) -> Steps:
        costs, env = self._costs, self._env
        began_s = -costs.commit_interval_s
        while True:
            if not self._outcomes:
                self._landed = env.event()
                yield self._landed
            # With nothing else under way a commit waits half as long.
            interval_s = costs.commit_interval_s * (1.0 if self._window.count else 0.5)
            if began_s + interval_s > env.now:
                yield env.timeout(began_s + interval_s - env.now)
            began_s, batch, self._outcomes = env.now, self._outcomes, []
            yield env.timeout(costs.commit_s)
            self.seen.latencies.extend((arrived_s, env.now - arrived_s) for arrived_s in batch)
