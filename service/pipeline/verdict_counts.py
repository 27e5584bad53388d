"""Counts verdicts by what was decided, why, and for whom."""

from collections.abc import Collection

from schemas.verdict import VerdictV1
from service.telemetry import names
from service.telemetry.instruments import VERDICTS


class VerdictCounts:
    """Counts tenants that the settings name under their names, and all others together."""

    def __init__(self, tenants: Collection[str] = ()) -> None:
        self._tenants = frozenset(tenants)

    def count(self, verdict: VerdictV1) -> None:
        """Take note of one."""
        labels = {
            names.DECISION: verdict.decision,
            names.POLICY: verdict.policy.name,
            names.CATEGORY: verdict.deciding_category or names.NONE,
            names.TENANT: verdict.tenant if verdict.tenant in self._tenants else names.OTHER,
            names.STATUS: verdict.status,
        }
        VERDICTS.add(1, labels)
