"""Lag, as it is and as committed offsets make it look."""

from service.core.records import Partition
from service.delivery.offsets import PartitionProgress, Progress
from service.delivery.status import status_of
from service.kafka.log_bounds import LogBounds

PLACE = Partition("images.uploaded", 0)


def progress(*, base: int, delivered: range, finished: tuple[int, ...]) -> PartitionProgress:
    made = PartitionProgress(Progress(base))
    for offset in delivered:
        made.deliver(offset)
    made.apply(made.plan(finished), finished)
    return made


def test_what_is_finished_out_of_order_is_no_lag() -> None:
    status = status_of(
        PLACE, progress(base=100, delivered=range(100, 110), finished=(101, 102, 103)), LogBounds(0, 120, 120)
    )
    assert (status.lag, status.committed_lag, status.backlog) == (17, 20, 10)


def test_what_is_in_flight_is_lag_until_it_is_committed() -> None:
    status = status_of(PLACE, progress(base=100, delivered=range(100, 110), finished=()), LogBounds(0, 110, 110))
    assert (status.lag, status.committed_lag, status.backlog) == (10, 10, 0)


def test_what_came_after_the_end_was_reported_makes_no_lag_negative() -> None:
    status = status_of(
        PLACE, progress(base=100, delivered=range(100, 110), finished=tuple(range(100, 110))), LogBounds(0, 105, 105)
    )
    assert (status.lag, status.committed_lag, status.backlog) == (0, 0, 0)


def test_what_an_open_transaction_holds_back_is_distinguished_from_lag() -> None:
    status = status_of(
        PLACE, progress(base=100, delivered=range(0), finished=()), LogBounds(0, 100, 151, unstable_since_s=7.0)
    )
    assert (status.lag, status.unstable, status.unstable_since_s) == (0, 51, 7.0)
