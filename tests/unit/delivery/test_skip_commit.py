"""A skip's commit whose answer does not come: the record has one outcome, and the command says that it is done."""

import pytest

from service.core.records import OutgoingRecord
from service.delivery.offsets import Progress
from service.delivery.skip_commit import commit_as_one
from service.kafka.errors import CommitUnknownError
from service.kafka.topic_limits import TopicLimits

DEAD_LETTER = OutgoingRecord("dead", None, b"letter", ())


class LateWriter:
    """A writer whose first commit gets no answer."""

    def __init__(self, *, afterwards: Progress) -> None:
        self._afterwards = afterwards
        self._opened = 0
        self.commits: list[Progress] = []

    async def open(self) -> Progress:
        """Return what is stored: something else once a commit was tried."""
        self._opened += 1
        return self._afterwards if self._opened > 1 else Progress(3)

    async def commit(self, _records: object, progress: Progress) -> None:
        """Give no answer the first time."""
        self.commits.append(progress)
        if len(self.commits) == 1:
            raise CommitUnknownError("no answer")

    async def close(self) -> None:
        """Nothing to let go of."""


def finishing_three(stored: Progress) -> Progress:
    assert not stored.is_finished(3)
    return stored.finishing(3, 3)


@pytest.mark.parametrize(
    ("afterwards", "commits"),
    [(Progress(3), 2), (Progress(4), 1), (Progress(9), 1), (Progress(3, 0b100), 2)],
    ids=["it did not happen", "it happened", "it happened and the service went on", "not, and the service went on"],
)
async def test_a_commit_without_an_answer_is_tried_again_unless_the_record_is_finished(
    afterwards: Progress, commits: int
) -> None:
    writer = LateWriter(afterwards=afterwards)
    limits = TopicLimits(1_000_000, compression="none")
    await commit_as_one(
        writer,  # type: ignore[arg-type]  # what a skip needs of a writer
        [DEAD_LETTER],
        finishing_three,
        place="t/0/3",
        limits=limits,
    )
    assert len(writer.commits) == commits
