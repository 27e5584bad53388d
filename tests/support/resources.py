"""What a record takes of the process, noted down for a test."""


class NotedResources:
    """Grants everything at once and remembers what was asked."""

    def __init__(self, held: list[int] | None = None) -> None:
        self.held = held if held is not None else []
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

    def hold(self, size_bytes: int) -> None:
        """Note."""
        self.held.append(size_bytes)

    def let_go(self, size_bytes: int) -> None:
        """Note as a negative number."""
        self.held.append(-size_bytes)
