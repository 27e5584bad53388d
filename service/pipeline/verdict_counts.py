"""Counts verdicts by what was decided, why, and for whom."""

from collections.abc import Collection

from schemas.verdict import VerdictV1
from service.telemetry import labels
from service.telemetry.instruments import VERDICTS


class VerdictCounts:
    """Counts tenants that the settings name under their names, and all others together."""

    def __init__(self, tenants: Collection[str] = ()) -> None:
        self._tenants = frozenset(tenants)

    def count(self, verdict: VerdictV1) -> None:
        """Take note of one."""
        attributes = {
            labels.DECISION: verdict.decision,
            labels.POLICY: verdict.policy.name,
            labels.CATEGORY: verdict.deciding_category or labels.NONE,
            labels.TENANT: verdict.tenant if verdict.tenant in self._tenants else labels.OTHER,
            labels.STATUS: verdict.status,
        }
        VERDICTS.add(1, attributes)
