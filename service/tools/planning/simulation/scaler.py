"""How many processes a Kubernetes cluster keeps: KEDA's triggers, and the autoscaler's policies for more and fewer."""

import math
from collections import deque
from dataclasses import dataclass

# Of the autoscaler: a wish that differs by less changes nothing.
TOLERANCE = 0.1


@dataclass(frozen=True, slots=True)
class Policy:
    """How the number changes in one direction."""

    looks_back_s: float
    """Of the wishes since then the one that changes least counts."""
    processes: float
    """In one step, at most."""
    step_s: float
    """Until the next one."""
    doubles: bool = False
    """As many more as there are, where that is more than `processes`."""


# The autoscaler's own, where a ScaledObject says nothing, and those of this project's chart.
USUAL_UP, USUAL_DOWN = Policy(0, 4, 15, doubles=True), Policy(300, math.inf, 15)
CHART_UP, CHART_DOWN = Policy(30, 4, 60), Policy(600, 1, 120)


@dataclass(frozen=True, slots=True)
class ScalerSettings:
    """Of a ScaledObject."""

    lag_threshold: float
    """Records that one process may have waiting."""
    least: int
    most: int
    """Never more than partitions: KEDA keeps to it by itself."""
    rate_threshold: float = math.inf
    """Uploads a second for each process, where their rate is a second trigger; the larger wish counts."""
    up: Policy = USUAL_UP
    down: Policy = USUAL_DOWN
    polling_s: float = 15.0


class Scaler:
    """Wishes, and the memory of them."""

    def __init__(self, settings: ScalerSettings) -> None:
        self.settings = settings
        self._wishes: deque[tuple[float, int]] = deque()
        self._up_from_s = self._down_from_s = 0.0

    def wanted(self, now_s: float, lag: float, per_s: float, current: int) -> int:
        """Return how many processes there should be, those that are starting included."""
        settings = self.settings
        wish = self._wish(max(lag / settings.lag_threshold, per_s / settings.rate_threshold), current)
        self._remember(now_s, wish)
        if wish > current:
            return self._more(now_s, min(self._since(now_s - settings.up.looks_back_s)), current)
        return self._fewer(now_s, max(self._since(now_s - settings.down.looks_back_s)), current)

    def _wish(self, processes: float, current: int) -> int:
        if current and abs(processes / current - 1) <= TOLERANCE:
            return current
        return min(self.settings.most, max(self.settings.least, math.ceil(processes)))

    def _remember(self, now_s: float, wish: int) -> None:
        self._wishes.append((now_s, wish))
        oldest_s = now_s - max(self.settings.up.looks_back_s, self.settings.down.looks_back_s)
        while self._wishes[0][0] < oldest_s:
            self._wishes.popleft()

    def _since(self, from_s: float) -> list[int]:
        return [wish for at_s, wish in self._wishes if at_s >= from_s]

    def _more(self, now_s: float, wish: int, current: int) -> int:
        policy = self.settings.up
        if wish <= current or now_s < self._up_from_s:
            return current
        self._up_from_s = now_s + policy.step_s
        return min(wish, current + int(max(policy.processes, current if policy.doubles else 0)))

    def _fewer(self, now_s: float, wish: int, current: int) -> int:
        policy = self.settings.down
        if wish >= current or now_s < self._down_from_s:
            return current
        self._down_from_s = now_s + policy.step_s
        return int(max(wish, current - policy.processes))
