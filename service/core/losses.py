"""Engines or servers that stopped working while a record was in flight there."""

from dataclasses import dataclass


@dataclass(slots=True)
class EngineLosses:
    """Counts of one record, over all its attempts.

    The first loss proves nothing: many records are in flight side by side, and engines also fail by themselves. A
    record with a loss is judged alone from then on, so that a further loss is certainly of this record.
    """

    among_others: int = 0
    """Losses while other records were in flight at the same place."""
    alone: float = 0.0
    """Losses while it was the only one. A connection that broke while its server worked on counts half: that may have
    been the network."""

    @property
    def is_suspect(self) -> bool:
        """Whether the record must be judged alone."""
        return self.among_others > 0 or self.alone > 0

    def add(self, *, alone: bool, weight: float = 1.0) -> None:
        """Count a loss."""
        if alone:
            self.alone += weight
        else:
            self.among_others += 1

    def encode(self) -> bytes:
        """Return the counts as a header's value: two decimal numbers, the second one in halves."""
        return b"%d,%d" % (self.among_others, round(2 * self.alone))

    @classmethod
    def decode(cls, text: bytes) -> "EngineLosses":
        """Read a value of `encode`; any other value counts as no loss."""
        among_others, _, halves = text.partition(b",")
        if among_others.isdigit() and halves.isdigit() and len(text) <= _MAX_CHARACTERS:
            return cls(int(among_others), int(halves) / 2)
        return cls()


_MAX_CHARACTERS = 20  # two numbers of nine digits
