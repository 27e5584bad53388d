"""The circuits of hosts that keep failing."""

import pytest

from service.core.errors import ModstreamError
from service.media.errors import (
    AddressNotAllowedError,
    HostCircuitOpenError,
    ImageNotFoundError,
    ImageReferenceError,
    SchemeNotAllowedError,
)
from service.media.fetch.host_circuits import (
    FAILURES_TO_OPEN,
    FIRST_LIMIT,
    MAX_PATIENT,
    MAX_PATIENT_KNOWN,
    HostCircuits,
)
from testing.fetch_places import DOWN, World
from testing.waiting import wait_until


@pytest.fixture
async def world() -> World:
    return World(16)


async def test_a_host_that_keeps_failing_is_not_asked_and_the_error_names_it(world: World) -> None:
    await world.fails("down.example", FAILURES_TO_OPEN)
    (task,) = world.begin("shop", "down.example")
    with pytest.raises(HostCircuitOpenError, match=r"down\.example is not asked for 1\.0 s: it failed 5 times"):
        await task
    (other,) = world.begin("club", "well.example")
    await world.settled()
    assert world.of(host="well.example") == 1
    world.end("club", "well.example")
    await other


async def test_those_who_wait_for_a_host_are_refused_when_its_circuit_opens(world: World) -> None:
    tasks = world.begin("shop", "down.example", 200)
    await world.settled()
    for _ in range(FIRST_LIMIT):
        world.end("shop", "down.example", DOWN)
    await wait_until(lambda: all(task.done() for task in tasks), description="they are refused")
    reasons = [error.reason for task in tasks if isinstance(error := task.exception(), ModstreamError)]
    assert (reasons.count("fetch.failed"), reasons.count("fetch.circuit_open")) == (FIRST_LIMIT, 192)


async def test_a_host_that_fails_has_fewer_places_before_it_has_none(world: World) -> None:
    world.begin("shop", "down.example", 50)
    await world.settled()
    for _ in range(2):
        world.end("shop", "down.example", DOWN)
    await world.settled()
    for _ in range(2):
        world.end("shop", "down.example", DOWN)
    await world.settled()
    assert world.of(host="down.example") == FIRST_LIMIT - 4
    await world.close()


async def test_one_fetch_probes_the_host_and_its_success_closes_the_circuit(world: World) -> None:
    await world.fails("back.example", FAILURES_TO_OPEN)
    world.now_s += 1.0
    probe, refused = world.begin("shop", "back.example", 2)
    await world.settled()
    assert world.of(host="back.example") == 1
    with pytest.raises(HostCircuitOpenError):
        await refused
    world.end("shop", "back.example")
    await probe
    world.begin("shop", "back.example", 50)
    await world.settled()
    assert world.of(host="back.example") == 12
    await world.close()


async def test_each_probe_that_fails_doubles_the_time_up_to_a_minute(world: World) -> None:
    await world.fails("down.example", FAILURES_TO_OPEN)
    for open_s in (1, 2, 4, 8, 16, 32, 60, 60):
        world.now_s += open_s - 0.1
        (early,) = world.begin("shop", "down.example")
        with pytest.raises(HostCircuitOpenError):
            await early
        world.now_s += 0.1
        await world.fails("down.example")


async def test_an_image_that_is_not_there_shows_that_its_host_is(world: World) -> None:
    for _ in range(3 * FAILURES_TO_OPEN):
        (task,) = world.begin("shop", "well.example")
        await world.settled()
        world.end("shop", "well.example", ImageNotFoundError(detail="404"))
        with pytest.raises(ImageNotFoundError):
            await task
    world.begin("shop", "well.example")
    await world.settled()
    assert world.of(host="well.example") == 1
    await world.close()


async def test_records_beyond_those_that_may_wait_for_a_dead_host_are_refused(world: World) -> None:
    await world.fails("down.example", FAILURES_TO_OPEN)
    tasks = world.begin("shop", "down.example", MAX_PATIENT + 1)
    await world.settled()
    errors = [error for task in tasks if isinstance(error := task.exception(), HostCircuitOpenError)]
    assert [error.may_wait_here for error in errors] == [True] * MAX_PATIENT + [False]


async def test_all_records_may_wait_for_a_store_of_the_operator(world: World) -> None:
    await world.fails("s3", FAILURES_TO_OPEN)
    tasks = world.begin("shop", "s3", MAX_PATIENT + 1)
    await world.settled()
    errors = [error for task in tasks if isinstance(error := task.exception(), HostCircuitOpenError)]
    assert [error.may_wait_here for error in errors] == [True] * (MAX_PATIENT + 1)


async def test_more_records_may_wait_for_a_host_that_has_answered_before(world: World) -> None:
    await world.known("back.example", 1)
    await world.fails("back.example", FAILURES_TO_OPEN)
    tasks = world.begin("shop", "back.example", MAX_PATIENT_KNOWN + 1)
    await world.settled()
    errors = [error for task in tasks if isinstance(error := task.exception(), HostCircuitOpenError)]
    assert [error.may_wait_here for error in errors] == [True] * MAX_PATIENT_KNOWN + [False]


def test_only_so_many_hosts_are_remembered_and_none_is_forgotten_that_is_being_asked() -> None:
    circuits: HostCircuits[object] = HostCircuits(max_hosts=3)
    circuits.of("shop", "busy.example").active = 1
    for number in range(10):
        circuits.of("shop", f"{number}.example")
    assert len(circuits) == 3
    assert circuits.of("shop", "busy.example").active == 1


async def test_a_tenant_whose_requests_fail_at_a_host_closes_it_to_no_other_tenant(world: World) -> None:
    await world.fails("shared.example", FAILURES_TO_OPEN, tenant="evil")
    world.begin("shop", "shared.example", FIRST_LIMIT)
    await world.settled()
    assert world.of("shop", "shared.example") == FIRST_LIMIT
    await world.close()


@pytest.mark.parametrize(
    "rejection",
    [
        AddressNotAllowedError(host="dead.example"),
        ImageReferenceError(detail="control characters"),
        SchemeNotAllowedError(scheme="gopher", hint=""),
    ],
)
async def test_an_event_that_is_rejected_before_its_host_is_asked_shows_no_host_alive(
    world: World, rejection: ModstreamError
) -> None:
    await world.fails("dead.example", FAILURES_TO_OPEN - 1)
    (task,) = world.begin("shop", "dead.example")
    await world.settled()
    world.end("shop", "dead.example", rejection)
    with pytest.raises(type(rejection)):
        await task
    await world.fails("dead.example")
    (refused,) = world.begin("shop", "dead.example")
    with pytest.raises(HostCircuitOpenError):
        await refused
