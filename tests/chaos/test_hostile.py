"""The hostile hour in a form short enough for every change; `make chaos HOSTILE=1` is the long form."""

import logging
import shutil

import pytest

from testing.chaos.hostile.run import Options, run

OPTIONS = Options(minutes=0.75, seed=3, mean_gap_s=12.0)


@pytest.mark.docker
@pytest.mark.timeout(600)  # takes two minutes; what a dead host is given up after takes most of it
async def test_good_traffic_gets_its_verdicts_beside_bombs_dead_hosts_and_an_engine_that_goes_and_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.getLogger("aiokafka"), "level", logging.CRITICAL)
    report = await run(OPTIONS)
    assert report.holds, report
    assert report.acts.total() >= 2, report
    shutil.rmtree(report.logs)
