"""Pure: counts outcomes against inputs."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from service.settings.delivery import TopicSettings
from testing.chaos.workload import expected_topics


@dataclass(frozen=True, slots=True)
class Balance:
    """Which records did not end as they should; the promise is that all four are empty."""

    lost: tuple[int, ...]
    """Records without their outcome, or with only one of their two."""
    duplicated: tuple[int, ...]
    """Records with an outcome that was seen more than once."""
    astray: tuple[int, ...]
    """Records with an outcome that is not theirs, such as a dead letter for a good one."""
    fed_twice: tuple[int, ...]
    """Records that the harness itself published twice: its own fault, and the run counts for nothing."""

    @property
    def holds(self) -> bool:
        """Whether every input has exactly its outcomes."""
        return not (self.lost or self.duplicated or self.astray or self.fed_twice)


class OutcomeCounts:
    """What a reader saw, by topic and record number."""

    def __init__(self, topics: TopicSettings) -> None:
        self._topics = topics
        self._seen: Counter[tuple[str, int]] = Counter()
        self._inputs: Counter[int] = Counter()
        self._finished: set[int] = set()

    def count(self, topic: str, number: int) -> None:
        """Count one record of the input or an output topic."""
        if topic == self._topics.uploads:
            self._inputs[number] += 1
        else:
            self._seen[topic, number] += 1
        if number in self._inputs and self._is_complete(number):
            self._finished.add(number)

    @property
    def inputs(self) -> int:
        """How many different inputs were seen."""
        return len(self._inputs)

    @property
    def finished(self) -> int:
        """How many inputs have all their outcomes."""
        return len(self._finished)

    def balance(self, expected: Iterable[int]) -> Balance:
        """Compare with the numbers that were to be fed."""
        numbers = sorted(expected)
        return Balance(
            lost=tuple(number for number in numbers if not self._is_complete(number)),
            duplicated=_numbers(place for place, count in self._seen.items() if count > 1),
            astray=_numbers(place for place in self._seen if place[0] not in expected_topics(place[1], self._topics)),
            fed_twice=tuple(sorted(number for number, count in self._inputs.items() if count > 1)),
        )

    def _is_complete(self, number: int) -> bool:
        return all((topic, number) in self._seen for topic in expected_topics(number, self._topics))


def _numbers(places: Iterable[tuple[str, int]]) -> tuple[int, ...]:
    return tuple(sorted({number for _, number in places}))
