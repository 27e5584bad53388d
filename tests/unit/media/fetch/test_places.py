"""Places for fetches, shared between tenants and hosts, and the circuits of hosts that fail."""

import asyncio
from collections.abc import Callable

import pytest

from service.errors import ModstreamError
from service.media.errors import FetchFailedError, HostCircuitOpenError, ImageNotFoundError
from service.media.fetch.host_circuits import FAILURES_TO_OPEN, FIRST_LIMIT, MAX_PATIENT, HostCircuits
from service.media.fetch.places import FetchPlaces
from tests.support.waiting import wait_until

DOWN = FetchFailedError(detail="down")


class World:
    """Fetches that end when the test says so, by a clock that it sets."""

    def __init__(self, count: int) -> None:
        self.now_s = 0.0
        self.places = FetchPlaces(count, now_s=lambda: self.now_s)
        self.under_way: list[tuple[str, str]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self._ends: dict[tuple[str, str], list[asyncio.Future[None]]] = {}

    def begin(self, tenant: str, host: str, count: int = 1) -> list[asyncio.Task[None]]:
        """Begin fetches."""
        begun = [asyncio.create_task(self._fetch(tenant, host)) for _ in range(count)]
        self.tasks += begun
        return begun

    async def _fetch(self, tenant: str, host: str) -> None:
        async with self.places.place(tenant, host):
            end = asyncio.get_running_loop().create_future()
            self._ends.setdefault((tenant, host), []).append(end)
            self.under_way.append((tenant, host))
            try:
                await end
            finally:
                self.under_way.remove((tenant, host))

    def end(self, tenant: str, host: str, error: ModstreamError | None = None) -> None:
        """End the oldest fetch of these."""
        ends = self._ends[tenant, host]
        end = next(end for end in ends if not end.done())
        if error:
            end.set_exception(error)
        else:
            end.set_result(None)

    async def settled(self) -> None:
        """Let everything happen that can happen now."""
        for _ in range(10):
            await asyncio.sleep(0)

    async def known(self, host: str, successes: int = 5) -> None:
        """Let a host answer a few times."""
        for _ in range(successes):
            self.begin("default", host)
            await self.settled()
            self.end("default", host)
            await self.settled()

    async def fails(self, host: str, times: int = 1, *, tenant: str = "shop") -> None:
        """Let fetches from a host fail one after the other."""
        for _ in range(times):
            (task,) = self.begin(tenant, host)
            await self.settled()
            self.end(tenant, host, DOWN)
            with pytest.raises(FetchFailedError):
                await task

    def of(self, tenant: str | None = None, host: str | None = None) -> int:
        """Count the fetches under way of a tenant or a host."""
        return sum(tenant in {None, one} and host in {None, other} for one, other in self.under_way)

    async def close(self) -> None:
        """Cancel what is left."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.fixture
async def world() -> "World":
    return World(16)


async def until(condition: Callable[[], bool]) -> None:
    await wait_until(condition, description="it has happened")


async def test_a_host_that_is_not_known_gets_few_places_until_it_answers(world: World) -> None:
    world.begin("shop", "new.example", 50)
    await world.settled()
    assert world.of(host="new.example") == FIRST_LIMIT
    world.end("shop", "new.example")
    await world.settled()
    assert world.of(host="new.example") == 12, "three quarters of all places"
    await world.close()


async def test_a_tenant_that_is_alone_gets_nearly_everything_and_a_new_one_a_place_at_once(world: World) -> None:
    for host in ("a.example", "b.example"):
        await world.known(host)
        world.begin("shop", host, 50)
    await world.settled()
    assert world.of("shop") == 14
    world.begin("club", "c.example", 50)
    world.begin("fair", "d.example", 50)
    await world.settled()
    assert (world.of("club"), world.of("fair")) == (1, 1)
    await world.close()


async def test_every_second_place_that_is_freed_goes_to_a_tenant_that_came_later(world: World) -> None:
    for host in ("a.example", "b.example"):
        await world.known(host)
        world.begin("shop", host, 50)
    await world.settled()
    world.begin("club", "b.example", 50)
    await world.settled()
    for _ in range(8):
        world.end("shop", "a.example")
        await world.settled()
    assert (world.of("shop"), world.of("club")) == (10, 5)
    await world.close()


async def test_a_slow_host_leaves_places_to_other_hosts_of_its_tenant(world: World) -> None:
    await world.known("slow.example")
    world.begin("shop", "slow.example", 50)
    world.begin("shop", "quick.example")
    await world.settled()
    assert (world.of(host="slow.example"), world.of(host="quick.example")) == (12, 1)
    await world.close()


async def test_a_tenant_that_may_have_no_place_keeps_no_host_from_others(world: World) -> None:
    await world.known("a.example")
    await world.known("c.example")
    for host in ("a.example", "c.example"):
        world.begin("shop", host, 50)  # all that one tenant may have
    await world.fails("b.example", 3, tenant="club")  # one at a time from now on
    world.begin("club", "b.example")
    await world.settled()
    world.begin("shop", "b.example", 3)
    world.begin("fair", "b.example")
    await world.settled()
    world.end("club", "b.example")
    await world.settled()
    assert world.of("fair", "b.example") == 1
    await world.close()


async def test_of_few_places_none_is_kept_back() -> None:
    world = World(2)
    world.begin("shop", "a.example", 3)
    await world.settled()
    assert world.of("shop") == 2
    await world.close()


async def test_one_place_serves_everybody_in_turn() -> None:
    world = World(1)
    world.begin("shop", "a.example", 3)
    world.begin("club", "b.example")
    await world.settled()
    assert world.under_way == [("shop", "a.example")]
    world.end("shop", "a.example")
    await world.settled()
    world.end("shop", "a.example")
    await world.settled()
    assert world.under_way == [("club", "b.example")]
    await world.close()


async def test_a_host_that_keeps_failing_is_not_asked_and_the_error_names_it(world: World) -> None:
    await world.fails("down.example", FAILURES_TO_OPEN)
    (task,) = world.begin("club", "down.example")
    with pytest.raises(HostCircuitOpenError, match=r"down\.example is not asked for 5\.0 s: it failed 5 times"):
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
    await until(lambda: all(task.done() for task in tasks))
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
    world.now_s += 5.0
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
    for open_s in (5, 10, 20, 40, 60, 60):
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


async def test_a_cancelled_fetch_says_nothing_about_its_host_and_frees_its_place(world: World) -> None:
    tasks = world.begin("shop", "slow.example", 50)
    await world.settled()
    for task in tasks[:45]:
        task.cancel()
    await world.settled()
    assert world.of(host="slow.example") == 5
    for _ in range(5):
        world.end("shop", "slow.example")
    await world.settled()
    await world.known("slow.example")
    world.begin("club", "slow.example", 50)
    await world.settled()
    assert world.of("club") == 12
    await world.close()


async def test_a_cancellation_in_the_moment_of_the_grant_frees_the_place(world: World) -> None:
    world.begin("shop", "a.example", FIRST_LIMIT)
    (waiting,) = world.begin("shop", "a.example")
    await world.settled()
    world.end("shop", "a.example")
    await asyncio.sleep(0)
    waiting.cancel()
    await world.settled()
    world.begin("club", "a.example", 50)
    await world.settled()
    assert len(world.under_way) == 12
    await world.close()


async def test_records_beyond_those_that_may_wait_for_a_dead_host_are_told_so(world: World) -> None:
    await world.fails("down.example", FAILURES_TO_OPEN)
    tasks = world.begin("shop", "down.example", MAX_PATIENT + 1)
    await world.settled()
    errors = [error for task in tasks if isinstance(error := task.exception(), HostCircuitOpenError)]
    assert [error.may_wait_here for error in errors] == [True] * MAX_PATIENT + [False]


def test_only_so_many_hosts_are_remembered_and_none_is_forgotten_that_is_being_asked() -> None:
    circuits: HostCircuits[object] = HostCircuits(max_hosts=3)
    circuits.of("busy.example").active = 1
    for number in range(10):
        circuits.of(f"{number}.example")
    assert len(circuits) == 3
    assert circuits.of("busy.example").active == 1
