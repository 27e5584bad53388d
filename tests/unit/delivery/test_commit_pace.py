"""The pace of commits: as set for a few partitions, slower for many."""

from service.delivery.batch import CommitPace


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_few_partitions_commit_at_the_interval_that_is_set() -> None:
    pace = CommitPace(0.1, clock=Clock())
    assert {pace.interval_s(f"uploads/{n}") for n in range(2)} == {0.1}


def test_many_partitions_share_what_commits_may_cost_up_to_a_limit() -> None:
    pace = CommitPace(0.1, clock=Clock())
    intervals_s = [pace.interval_s(f"uploads/{n}") for n in range(100)]
    assert intervals_s[7] == 0.4
    assert intervals_s[99] == 0.5


def test_partitions_without_outcomes_do_not_count() -> None:
    clock = Clock()
    pace = CommitPace(0.1, clock=clock)
    for n in range(100):
        pace.interval_s(f"uploads/{n}")
    clock.now_s += 1.0
    assert pace.interval_s("uploads/0") == 0.1


def test_a_long_interval_that_is_set_stays() -> None:
    assert CommitPace(2.0, clock=Clock()).interval_s("uploads/0") == 2.0
