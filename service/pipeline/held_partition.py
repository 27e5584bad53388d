"""What a process knows of a partition that it has, for the case that the engine dies."""

import asyncio

from service.pipeline.engine_marks import Marks, Suspect
from service.stream.offsets import Progress


class HeldPartition:
    """A partition that this process has."""

    __slots__ = ("crashes", "inside", "is_alone", "is_saved", "known", "progress", "suspects", "watched_until_s")

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.known = asyncio.Event()
        """Set once it is known what earlier owners left behind, and they would know of this one."""
        self.crashes = 0
        self.watched_until_s = 0.0
        self.suspects: dict[int, Suspect] = {}
        self.inside: dict[int, int] = {}
        self.is_alone = False
        self.is_saved = False
        """Whether a text about it was written by this process."""

    @property
    def is_at_ease(self) -> bool:
        """Whether its records need no precaution."""
        return not self.crashes and not self.suspects and self.known.is_set()

    def learn(self, marks: Marks, *, watched_until_s: float) -> None:
        """Take over what an earlier owner left behind."""
        self.crashes = marks.crashes
        self.watched_until_s = watched_until_s if marks.crashes else 0.0
        unfinished = {offset: each for offset, each in marks.suspects.items() if not self.progress.is_finished(offset)}
        self.suspects = unfinished

    def marks(self, *, is_running: bool) -> Marks:
        """Return what is to be left behind now."""
        if not is_running:
            return Marks(suspects=dict(self.suspects))
        return Marks(
            is_running=True,
            crashes=self.crashes,
            inside=dict(self.inside),
            is_alone=self.is_alone,
            suspects=dict(self.suspects),
        )
