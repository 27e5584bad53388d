"""What a record takes of the process, noted down for a test."""


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
