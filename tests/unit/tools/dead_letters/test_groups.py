"""Many dead letters at a glance."""

from datetime import timedelta

from service.events.codec_errors import EventEmptyError
from service.media.errors import ImageNotFoundError
from service.tools.dead_letters.dead_letter import read_dead_letter
from service.tools.dead_letters.groups import Groups, Newest
from testing.dead_letters import FAILED_AT, a_dead_letter


def test_letters_are_counted_by_the_kind_of_failure_the_most_frequent_first() -> None:
    groups = Groups()
    groups.add(read_dead_letter(a_dead_letter(1, error=EventEmptyError())))
    for offset, minutes in ((2, 5), (3, 9), (4, 1)):
        error = ImageNotFoundError(detail=f"object {offset}00000000 is gone")
        groups.add(
            read_dead_letter(a_dead_letter(offset, error=error, failed_at=FAILED_AT + timedelta(minutes=minutes)))
        )
    first, second = groups.largest_first()
    assert (first.reason, first.count, second.reason, second.count) == ("image.not_found", 3, "event.empty", 1)
    assert (first.first, first.last) == (FAILED_AT + timedelta(minutes=1), FAILED_AT + timedelta(minutes=9))
    assert (first.example, first.message) == ("3:3", "The image is not there: object ‹n› is gone")


def test_the_newest_letters_are_kept_and_all_are_counted() -> None:
    newest = Newest(2)
    for offset, minutes in ((1, 3), (2, 1), (3, 2)):
        newest.add(read_dead_letter(a_dead_letter(offset, failed_at=FAILED_AT + timedelta(minutes=minutes))))
    assert [dead_letter.record.offset for dead_letter in newest.oldest_first()] == [3, 1]
    assert newest.seen == 3


def test_letters_of_the_same_moment_are_kept_by_their_places() -> None:
    newest = Newest(2)
    for offset in (3, 1, 2):
        newest.add(read_dead_letter(a_dead_letter(offset)))
    assert [dead_letter.record.offset for dead_letter in newest.oldest_first()] == [2, 3]
