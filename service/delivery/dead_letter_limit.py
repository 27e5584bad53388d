"""Pure: when dead letters look like our fault rather than the uploaders', stop; nothing is lost by a restart.

One uploader can bring most failures about at will, as often as it likes. So no tenant, and no host that events name,
contributes more than its share of the limit: many of them have to fail.
"""

import math
from collections import Counter, deque
from typing import NamedTuple

from service.core.errors import Blame, FatalError
from service.settings.delivery import DeadLetterSettings


class DeadLetterLimitError(FatalError):
    """So many records failed that the cause must be on the service's side."""

    reason = "dead_letter.limit"
    message = (
        "{dead} of the last {outcomes} outcomes are dead letters, {consecutive} in a row, the last for {last_reason}: "
        "stopped before more are given up (settings dead_letter.max_consecutive, max_ratio and min_sources)"
    )


class Fault(NamedTuple):
    """The reason of a dead letter, and the tenant and host that it counts for."""

    reason: str
    blame: Blame
    tenant: str = ""
    host: str = ""
    """The host that the event named; empty where the failure concerns none."""


class _Counted:
    """Dead letters that count, with how many of them each tenant and each host has."""

    def __init__(self) -> None:
        self.total = 0
        self._of_tenant: Counter[str] = Counter()
        self._of_host: Counter[str] = Counter()

    def has_room(self, fault: Fault, share: int) -> bool:
        """Return whether neither the tenant nor the host has its whole share yet."""
        return self._of_tenant[fault.tenant] < share and not (fault.host and self._of_host[fault.host] >= share)

    def add(self, fault: Fault, number: int = 1) -> None:
        """Count one, or with -1 forget it again."""
        self.total += number
        for counter, key in ((self._of_tenant, fault.tenant), (self._of_host, fault.host)):
            counter[key] += number
            if not counter[key]:
                del counter[key]


class DeadLetterLimit:
    """Counts dead letters among the outcomes, and stops the service at the limit."""

    def __init__(self, settings: DeadLetterSettings) -> None:
        self._settings = settings
        self._window: deque[Fault | None] = deque()
        self._lately = _Counted()
        self._in_a_row = _Counted()
        self._tenants: set[str] = set()
        """Tenants seen, as many as matter."""

    def observe(self, tenant: str, fault: Fault | None = None) -> None:
        """Count an outcome, a dead letter when there is a fault; raises `DeadLetterLimitError` at the limit.

        The ratio counts once a whole window has been seen: the first record alone says nothing.
        """
        if len(self._tenants) < self._settings.min_sources:
            self._tenants.add(tenant)
        if fault is None:
            self._append(None)
            if self._in_a_row.total:
                self._in_a_row = _Counted()
        elif fault.blame != "record":
            self._count(fault)

    def _count(self, fault: Fault) -> None:
        sources = self._settings.min_sources if fault.blame == "uploader" else len(self._tenants)
        if self._in_a_row.has_room(fault, math.ceil(self._settings.max_consecutive / sources)):
            self._in_a_row.add(fault)
        if self._lately.has_room(fault, math.ceil(self._most_lately / sources)):
            self._lately.add(fault)
            self._append(fault)
        if self._in_a_row.total >= self._settings.max_consecutive or self._ratio_reached():
            raise DeadLetterLimitError(
                dead=self._lately.total,
                outcomes=len(self._window),
                consecutive=self._in_a_row.total,
                last_reason=fault.reason,
            )

    def _append(self, fault: Fault | None) -> None:
        self._window.append(fault)
        if len(self._window) > self._settings.window_records and (oldest := self._window.popleft()) is not None:
            self._lately.add(oldest, -1)

    @property
    def _most_lately(self) -> float:
        return self._settings.max_ratio * self._settings.window_records

    def _ratio_reached(self) -> bool:
        return len(self._window) == self._settings.window_records and self._lately.total >= self._most_lately
