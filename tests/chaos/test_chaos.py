"""The promise under misfortune, in a form short enough for every change; `make chaos` is the long form."""

import logging
import shutil

import pytest

from testing.chaos.nemesis import Act, plan
from testing.chaos.report import repeat_line
from testing.chaos.trial import Options, Report, run_trial

SEED = 20260
OPTIONS = Options(records=8000, seed=SEED, records_per_s=300, mean_gap_s=1.9, patience_s=90.0)


@pytest.fixture(autouse=True)
def quiet_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is away is what these tests are about; pytest would keep every complaint of it."""
    monkeypatch.setattr(logging.getLogger("aiokafka"), "level", logging.CRITICAL)


def test_a_seed_repeats_the_same_misfortunes() -> None:
    assert plan(1, duration_s=60, mean_gap_s=2) == plan(1, duration_s=60, mean_gap_s=2)
    assert plan(1, duration_s=60, mean_gap_s=2) != plan(2, duration_s=60, mean_gap_s=2)


def test_the_short_form_holds_every_kind_of_misfortune() -> None:
    steps = plan(OPTIONS.seed, duration_s=OPTIONS.feed_s, mean_gap_s=OPTIONS.mean_gap_s)
    assert {step.act for step in steps} == set(Act)


@pytest.mark.docker
@pytest.mark.timeout(300)  # takes about a minute; on a busy machine most of it is the broker's start
async def test_every_record_ends_in_exactly_one_outcome_whatever_happens() -> None:
    report = await run_trial(OPTIONS)
    assert report.holds, _evidence(report)
    assert report.acts.total() >= 8, _evidence(report)
    assert report.killed_at_end == ()
    shutil.rmtree(report.logs)


@pytest.mark.docker
@pytest.mark.timeout(300)  # as above
async def test_the_harness_sees_the_duplicates_of_a_worker_with_weaker_guarantees() -> None:
    report = await run_trial(Options(records=4000, seed=SEED, records_per_s=400, mean_gap_s=1.0, worker="plain"))
    assert report.balance.duplicated
    assert report.balance.fed_twice == ()
    shutil.rmtree(report.logs)


def _evidence(report: Report) -> str:
    return f"{report}\nrepeat with: {repeat_line(report.options)}"
