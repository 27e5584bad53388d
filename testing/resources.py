"""What a record takes of the process, noted down for a test."""

from service.core.records import SourceRecord
from service.delivery.handler import UNREAD, Reading


class NotedResources:
    """Grants everything at once and remembers what was asked."""

    def __init__(self) -> None:
        self.has_slot = True
        self.steps: list[str] = []

    async def acquire_slot(self) -> None:
        """Grant."""
        self.has_slot = True
        self.steps.append("acquire")

    def release_slot(self) -> None:
        """Take back."""
        self.has_slot = False
        self.steps.append("release")


class NotedRecord(NotedResources):
    """A received record with such resources."""

    def __init__(self, record: SourceRecord, reading: Reading = UNREAD, *, received_at_s: float = 0.0) -> None:
        super().__init__()
        self.record = record
        self.reading = reading
        self.received_at_s = received_at_s
