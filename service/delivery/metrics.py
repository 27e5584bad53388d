"""Counts records by outcome when their outcomes are committed."""

import time
from collections import Counter
from collections.abc import Callable, Iterable

from service.delivery.resolution import Resolution
from service.telemetry import labels
from service.telemetry.instruments import RECORDS, UPLOAD_AGE

_AGE_LABELS = {outcome: {labels.OUTCOME: outcome} for outcome in labels.OUTCOMES}


class OutcomeMetrics:
    """Counts committed records, batch by batch.

    `now_s` is the time of day in seconds, the clock of Kafka's timestamps.
    """

    def __init__(self, *, now_s: Callable[[], float] = time.time) -> None:
        self._now_s = now_s
        self.finished = 0
        self.dead_lettered = 0

    def committed(self, resolutions: Iterable[Resolution]) -> None:
        """Count records whose outcomes are committed."""
        now_s = self._now_s()
        counts: Counter[tuple[labels.Outcome, str]] = Counter()
        for resolution in resolutions:
            if resolution.uploaded_ms >= 0:  # else its age is unknown
                # Clocks differ: a record may seem to come from the future.
                age_s = max(now_s - resolution.uploaded_ms / 1000, 0.0)
                UPLOAD_AGE.record(age_s, _AGE_LABELS[resolution.outcome])
            counts[resolution.outcome, resolution.reason] += 1
        for (outcome, reason), count in counts.items():
            RECORDS.add(count, {labels.OUTCOME: outcome, labels.REASON: reason})
        self.finished += counts.total()
        self.dead_lettered += sum(count for (outcome, _), count in counts.items() if outcome == "dead_lettered")
