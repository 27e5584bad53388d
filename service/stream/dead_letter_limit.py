"""Pure: when dead letters look like our fault rather than the records', stop; nothing is lost by a restart.

Records that are at fault themselves are never shown to it: one uploader's broken events must not stop the service for
all others, and they wait among the dead letters for whoever mends them.
"""

from collections import deque

from service.errors import FatalError
from service.settings import DeadLetterSettings


class DeadLetterLimitError(FatalError):
    """So many records failed that the fault must be ours."""

    reason = "dead_letter.limit"
    message = (
        "{dead} of the last {outcomes} outcomes are dead letters, {consecutive} in a row, the last for {last_reason}: "
        "stopped before more are given up (settings dead_letter.max_consecutive and dead_letter.max_ratio)"
    )


class DeadLetterLimit:
    """Watches outcomes as they come."""

    def __init__(self, settings: DeadLetterSettings) -> None:
        self._settings = settings
        self._window: deque[bool] = deque(maxlen=settings.window_records)
        self._dead = 0
        self._consecutive = 0

    def observe(self, reason: str | None) -> None:
        """Count an outcome, a dead letter when it has a reason; raises `DeadLetterLimitError` at the limit.

        The ratio counts once a whole window has been seen: the first record alone says nothing.
        """
        is_dead = reason is not None
        if len(self._window) == self._settings.window_records:
            self._dead -= self._window[0]
        self._window.append(is_dead)
        self._dead += is_dead
        self._consecutive = self._consecutive + 1 if is_dead else 0
        if is_dead and (self._consecutive >= self._settings.max_consecutive or self._ratio_reached()):
            raise DeadLetterLimitError(
                dead=self._dead, outcomes=len(self._window), consecutive=self._consecutive, last_reason=reason
            )

    def _ratio_reached(self) -> bool:
        full = len(self._window) == self._settings.window_records
        return full and self._dead >= self._settings.max_ratio * self._settings.window_records
