"""Progress changed by hand, without a partition's history."""

import pytest

from service.delivery.offsets import PartitionProgress, Progress


@pytest.mark.parametrize(
    ("stored", "offsets", "expected"),
    [
        (Progress(5), (5, 5), Progress(6)),
        (Progress(5), (7, 7), Progress(5, 0b100)),
        (Progress(5, 0b110), (5, 5), Progress(8)),
        (Progress(5, 0b100), (6, 6), Progress(5, 0b110)),
        (Progress(5, 0b1000), (5, 6), Progress(7, 0b10)),
        (Progress(5), (6, 8), Progress(5, 0b1110)),
        (Progress(0), (0, 2**31), Progress(2**31 + 1)),
    ],
)
def test_offsets_are_finished_beside_what_is_finished(
    stored: Progress, offsets: tuple[int, int], expected: Progress
) -> None:
    assert stored.finishing(*offsets) == expected


def test_a_partition_whose_first_records_are_deleted_begins_at_its_oldest() -> None:
    assert Progress(0).raised(1000) == Progress(1000)
    assert Progress(5, 0b110).raised(6) == Progress(8)
    assert Progress(5, 0b110).raised(3) == Progress(5, 0b110)


def test_an_owner_goes_on_behind_what_was_skipped() -> None:
    progress = PartitionProgress(Progress(5).finishing(6, 6))

    assert [progress.deliver(offset) for offset in (5, 6, 7)] == [True, False, True]
    assert progress.plan([5]) == Progress(7)
