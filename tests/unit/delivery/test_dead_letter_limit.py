"""The limit that stops the service when the fault is ours, and that no single uploader reaches."""

from collections.abc import Iterator

import pytest

from service.core.errors import Blame
from service.delivery.dead_letter_limit import DeadLetterLimit, DeadLetterLimitError, Fault
from service.settings.delivery import DeadLetterSettings

ROW = DeadLetterSettings(max_consecutive=20, window_records=1000)
RATIO = DeadLetterSettings(max_consecutive=1000, max_ratio=0.5, window_records=10)


def ours(tenant: str = "shop") -> Fault:
    return Fault("engine.failed", "service", tenant)


def theirs(tenant: str = "shop", host: str = "") -> Fault:
    return Fault("fetch.failed", "uploader", tenant, host)


def observe(limit: DeadLetterLimit, outcomes: str, fault: Fault | None = None) -> None:
    """Observe outcomes in order: "x" is a dead letter, "." is none."""
    for outcome in outcomes:
        limit.observe("shop", (fault or ours()) if outcome == "x" else None)


def flood(limit: DeadLetterLimit, faults: Iterator[Fault]) -> None:
    for fault in faults:
        limit.observe(fault.tenant, fault)


def test_dead_letters_in_a_row_stop_the_service() -> None:
    limit = DeadLetterLimit(DeadLetterSettings(max_consecutive=3, window_records=1000))
    observe(limit, "xx.xx")
    with pytest.raises(DeadLetterLimitError, match=r"3 in a row, the last for engine\.failed"):
        observe(limit, "x")


def test_a_high_share_of_a_whole_window_stops_the_service() -> None:
    limit = DeadLetterLimit(RATIO)
    observe(limit, "....xxxx.")
    with pytest.raises(DeadLetterLimitError, match="5 of the last 10"):
        observe(limit, "x")


def test_the_first_records_say_nothing_about_the_share() -> None:
    observe(DeadLetterLimit(RATIO), "xxxxx")


def test_old_dead_letters_leave_the_window() -> None:
    observe(DeadLetterLimit(RATIO), "xxxx" + "." * 10 + "xxxx")


def test_what_records_alone_cause_never_counts() -> None:
    limit = DeadLetterLimit(ROW)
    flood(limit, (Fault("event.invalid", "record", f"tenant {number}") for number in range(1000)))


@pytest.mark.parametrize("hosts", [1, 1000], ids=["one host", "many hosts"])
def test_one_tenant_cannot_stop_the_service_by_what_it_can_bring_about(hosts: int) -> None:
    for settings in (ROW, RATIO):
        flood(DeadLetterLimit(settings), (theirs("shop", f"{number % hosts}.example") for number in range(5000)))


def test_one_host_cannot_stop_the_service_for_any_tenant() -> None:
    for settings in (ROW, RATIO):
        flood(DeadLetterLimit(settings), (theirs(f"tenant {number}", "down.example") for number in range(5000)))


def test_a_flood_of_one_tenant_brings_the_few_failures_of_others_no_nearer_to_the_limit() -> None:
    limit = DeadLetterLimit(ROW)
    for number in range(15):
        flood(limit, (theirs("shop", "down.example") for _ in range(100)))
        limit.observe(f"tenant {number}", theirs(f"tenant {number}", f"{number}.example"))


def test_failures_of_many_tenants_and_hosts_stop_the_service() -> None:
    for settings in (ROW, RATIO):
        with pytest.raises(DeadLetterLimitError):
            flood(DeadLetterLimit(settings), (theirs(f"tenant {n}", f"{n}.example") for n in range(20)))


def test_failures_without_a_host_stop_the_service_when_many_tenants_have_them() -> None:
    with pytest.raises(DeadLetterLimitError):
        flood(DeadLetterLimit(ROW), (theirs(f"tenant {number % 5}") for number in range(20)))


def test_an_engine_that_fails_stops_a_service_with_one_tenant() -> None:
    with pytest.raises(DeadLetterLimitError):
        flood(DeadLetterLimit(ROW), (ours("default") for _ in range(20)))


def test_an_engine_that_fails_on_one_of_many_tenants_does_not_stop_the_service() -> None:
    limit = DeadLetterLimit(ROW)
    for number in range(5):
        limit.observe(f"tenant {number}")
    flood(limit, (ours("poison") for _ in range(1000)))


@pytest.mark.parametrize("blame", ["service", "uploader"])
def test_an_engine_that_fails_on_all_of_many_tenants_stops_the_service(blame: Blame) -> None:
    limit = DeadLetterLimit(ROW)
    with pytest.raises(DeadLetterLimitError):
        flood(limit, (Fault("engine.failed", blame, f"tenant {number % 7}") for number in range(28)))


def test_all_records_count_alike_where_the_operator_wants_it() -> None:
    with pytest.raises(DeadLetterLimitError):
        flood(DeadLetterLimit(ROW.model_copy(update={"min_sources": 1})), (theirs("shop", "a") for _ in range(20)))
