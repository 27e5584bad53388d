"""docs/capacity.md against what the commands compute."""

import re
from pathlib import Path

import pytest

from service.tools.planning.capacity import Capacity
from service.tools.planning.cpu_sizing import EVENT_CPU_S, process_wall
from service.tools.planning.partitions import busiest_share
from service.tools.planning.simulation.overview import Case, overview_markdown, plan_case

DOCS = Path(__file__).parents[4] / "docs"
DOCUMENT = (DOCS / "capacity.md").read_text(encoding="utf-8")


@pytest.fixture
def largest() -> Capacity:
    return plan_case(Case(1e8, "H100"))


def test_its_table_is_the_one_that_is_computed() -> None:
    assert overview_markdown() in DOCUMENT, "write it anew: make capacity prints it"


def test_it_says_that_no_gpu_was_measured() -> None:
    assert "nothing in it was measured on a GPU" in DOCUMENT.partition("## Choosing partitions")[0]


def test_its_large_group_is_the_one_that_is_planned(largest: Capacity) -> None:
    assert f"{largest.partitions} partitions, {largest.processes} processes" in DOCUMENT
    assert f"need {largest.processes_at_night} processes at night" in DOCUMENT
    assert f"{largest.processes_for_burst} processes would have to be running" in DOCUMENT
    assert f"{largest.object_store_gbit_s:.0f} Gbit/s" in DOCUMENT
    assert f"writes {largest.brokers.written_mb_s:.0f} MB/s" in DOCUMENT


def test_its_incidents_are_those_of_the_closed_form(largest: Capacity) -> None:
    burst, lost = largest.incidents
    assert f"{burst.lag / 1e6:.1f} million records wait" in DOCUMENT
    assert f"the last of them for {burst.longest_wait_s / 60:.0f} minutes. {burst.caught_up_s / 60:.0f}" in DOCUMENT
    assert f"the longest for {lost.longest_wait_s:.0f} s" in DOCUMENT


def test_its_shares_of_partitions_are_right(largest: Capacity) -> None:
    shares = {processes: busiest_share(144, processes) for processes in (28, 29, 35, 36)}
    assert shares[28] > shares[29] == shares[35]
    assert shares[35] / shares[36] == pytest.approx(1.25)
    busy = largest.peak_per_s * shares[35] / largest.worker.images_per_s
    assert f"are busy for {busy:.0%}".replace("%", " %") in DOCUMENT


def test_its_limits_of_a_process_are_those_of_the_plan() -> None:
    assert process_wall() == pytest.approx(280, rel=0.05)
    assert round(1 / EVENT_CPU_S) == 625
    assert "| rates and steps of GPUs | **calculated, not measured** |" in DOCUMENT


def test_its_pictures_are_there_and_small() -> None:
    pictures = re.findall(r"\]\((images/capacity-[a-z-]+\.png)\)", DOCUMENT)
    assert len(pictures) == 8
    assert max((DOCS / picture).stat().st_size for picture in pictures) < 100_000
