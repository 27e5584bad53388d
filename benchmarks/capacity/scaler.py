"""How many processes a Kubernetes cluster keeps: KEDA's triggers and the autoscaler's usual behaviour."""

import math
from collections import deque
from dataclasses import dataclass

# The autoscaler's defaults: no change for a tenth, at most double or four more in a period, and the highest wish of the
# last five minutes before anything is taken away.
TOLERANCE = 0.1
MOST_AT_ONCE = 4
STABILISATION_S = 300.0
PERIOD_S = 15.0


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
    removed_share: float = 1.0
    """Of the processes, that may be taken away within five minutes; a policy of the autoscaler."""
    polling_s: float = PERIOD_S


class Scaler:
    """Wishes, and the memory of them."""

    def __init__(self, settings: ScalerSettings) -> None:
        self.settings = settings
        self._wishes: deque[tuple[float, int]] = deque()
        self._removal_from_s = 0.0

    def wanted(self, now_s: float, lag: float, per_s: float, current: int) -> int:
        """Return how many processes there should be, those that are starting included."""
        wish = self._wish(max(lag / self.settings.lag_threshold, per_s / self.settings.rate_threshold), current)
        self._wishes.append((now_s, wish))
        while self._wishes[0][0] < now_s - STABILISATION_S:
            self._wishes.popleft()
        if wish >= current:
            return min(wish, max(2 * current, current + MOST_AT_ONCE))
        return self._fewer(now_s, max(past for _, past in self._wishes), current)

    def _fewer(self, now_s: float, wish: int, current: int) -> int:
        """Return how many are left after taking away what the policy allows at this time."""
        if wish >= current or now_s < self._removal_from_s:
            return current
        if self.settings.removed_share < 1:
            self._removal_from_s = now_s + STABILISATION_S
        return max(wish, current - math.ceil(self.settings.removed_share * current))

    def _wish(self, processes: float, current: int) -> int:
        if current and abs(processes / current - 1) <= TOLERANCE:
            return current
        return min(self.settings.most, max(self.settings.least, math.ceil(processes)))
