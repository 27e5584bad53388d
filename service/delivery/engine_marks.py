"""Pure: the marks of a partition for the case that an engine dies, as text of at most 4,096 characters."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import orjson

from service.core.records import Partition
from service.delivery.offsets import Progress

_VERSION = 1
_MAX_CHARACTERS = 4096
"""`offset.metadata.max.bytes` of brokers, counted in characters."""


class Suspect(NamedTuple):
    """A record that was in the engine when the engine died, with its deaths alone."""

    deaths: int = 0
    """How often it was the only one."""
    timestamp_ms: int = 0
    """Timestamp of the record, set with its first death. It identifies the record in a topic that was recreated."""


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks that one process stores for the next owner of a partition."""

    is_running: bool = False
    """The process has the partition; one that ends in good order takes this back."""
    crashes: int = 0
    """Processes in a row that ended otherwise before this one."""
    inside: Mapping[int, int] = field(default_factory=dict)
    """Records in the engine as far as they are known: offset → Kafka timestamp in milliseconds."""
    is_alone: bool = False
    """The one record that is inside is judged alone."""
    suspects: Mapping[int, Suspect] = field(default_factory=dict)
    """The suspects by their offset."""

    def after_crash(self) -> "Marks":
        """Return the marks for the next owner if the process is known to have ended without removing its mark."""
        suspects = dict(self.suspects)
        for offset, timestamp_ms in self.inside.items():
            deaths = suspects.get(offset, Suspect()).deaths + self.is_alone
            suspects[offset] = Suspect(deaths, timestamp_ms if deaths else 0)
        return Marks(crashes=self.crashes + 1, suspects=suspects)

    def encode(self) -> str:
        """Return the marks as text, empty if there are none.

        If the text would be too long, suspects without a death are left out.
        """
        if not self.is_running and not self.suspects:
            return ""
        kept = sorted(self.suspects, key=lambda offset: -self.suspects[offset].deaths)
        inside = list(self.inside)
        while len(text := self._text(kept, inside)) > _MAX_CHARACTERS:
            kept, inside = kept[: len(kept) * 3 // 4], inside[: len(inside) * 3 // 4]
        return text

    def _text(self, kept: list[int], inside: list[int]) -> str:
        base = min([*kept, *inside], default=0)
        document = {
            "v": _VERSION,
            "run": int(self.is_running),
            "crashes": self.crashes,
            # Only a record that is judged alone can get a death, for which its timestamp is wanted.
            "alone": next(iter(self.inside.values())) if self.is_alone else None,
            "base": base,
            "inside": [offset - base for offset in inside],
            "suspects": [offset - base for offset in kept if not self.suspects[offset].deaths],
            "deaths": [[offset - base, *self.suspects[offset]] for offset in kept if self.suspects[offset].deaths],
        }
        return orjson.dumps(document).decode()

    @classmethod
    def decode(cls, text: str) -> "Marks":
        """Read a text of `encode`. Any other text, and one of a later version, counts as no marks."""
        try:
            return _read(orjson.loads(text)) if text else cls()
        except (ValueError, TypeError, KeyError):
            return cls()


def _read(document: Mapping[str, Any]) -> Marks:
    if document["v"] != _VERSION:
        return Marks()
    base, alone_ms = int(document["base"]), document["alone"]
    suspects = {base + int(delta): Suspect() for delta in document["suspects"]}
    suspects |= {base + int(delta): Suspect(int(deaths), int(at)) for delta, deaths, at in document["deaths"]}
    return Marks(
        is_running=bool(document["run"]),
        crashes=int(document["crashes"]),
        inside={base + int(delta): int(alone_ms or 0) for delta in document["inside"]},
        is_alone=alone_ms is not None,
        suspects=suspects,
    )


class HeldPartition:
    """A partition that this process owns, with the suspects among its records."""

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
        """Whether no record of the partition needs a precaution."""
        return not self.crashes and not self.suspects and self.known.is_set()

    def learn(self, marks: Marks, *, watched_until_s: float) -> None:
        """Add the marks of an earlier owner."""
        self.crashes = marks.crashes
        self.watched_until_s = watched_until_s if marks.crashes else 0.0
        unfinished = {offset: each for offset, each in marks.suspects.items() if not self.progress.is_finished(offset)}
        self.suspects = unfinished

    def marks(self, *, is_running: bool) -> Marks:
        """Return the marks to store now."""
        if not is_running:
            return Marks(suspects=dict(self.suspects))
        return Marks(
            is_running=True,
            crashes=self.crashes,
            inside=dict(self.inside),
            is_alone=self.is_alone,
            suspects=dict(self.suspects),
        )


class MarkStore(Protocol):
    """Keeps a text for each partition, for its next owner. Both methods raise `OSError`."""

    async def read(self, partitions: Collection[Partition]) -> Mapping[Partition, str]:
        """Return the text of each partition, empty if there is none."""
        ...

    async def write(self, marks: Mapping[Partition, str]) -> None:
        """Store the text of each partition."""
        ...


class NoMemory:
    """Stores nothing, for engines that survive a record that ends a server."""

    async def read(self, partitions: Collection[Partition]) -> Mapping[Partition, str]:
        """Return nothing."""
        return dict.fromkeys(partitions, "")

    async def write(self, marks: Mapping[Partition, str]) -> None:
        """Do nothing."""


NO_MEMORY = NoMemory()
