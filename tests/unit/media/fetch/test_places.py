"""Places for fetches, shared between tenants and hosts."""

import asyncio
from collections import Counter

import pytest

from service.core.errors import ModstreamError
from service.media.errors import FetchCrowdedError
from service.media.fetch.host_circuits import FIRST_LIMIT
from service.media.fetch.places import FetchPlaces
from testing.fetch_places import DOWN, World
from testing.waiting import wait_until


@pytest.fixture
async def world() -> World:
    return World(16)


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


async def test_one_place_serves_all_in_turn() -> None:
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
    world.begin("shop", "a.example", 50)
    await world.settled()
    assert len(world.under_way) == 12
    await world.close()


async def test_a_tenant_of_which_nothing_arrives_has_only_so_many_waiting() -> None:
    world = World(128)
    tasks = [world.begin("shop", f"{number}.example")[0] for number in range(3000)]
    await world.settled()
    assert world.of("shop") == 112
    for number in range(40):
        world.end("shop", f"{number}.example", DOWN)
    await wait_until(lambda: sum(task.done() for task in tasks) >= 3000 - 112 - 1024, description="they are refused")
    reasons = Counter(
        error.reason for task in tasks if task.done() and isinstance(error := task.exception(), ModstreamError)
    )
    assert reasons["fetch.failed"] == 40
    assert 3000 - 112 - 40 - 1024 <= reasons["fetch.crowded"] <= 3000 - 112 - 1024
    (late,) = world.begin("shop", "late.example")
    with pytest.raises(FetchCrowdedError, match="1024 images of this tenant wait already"):
        await late
    (other,) = world.begin("club", "well.example")
    await world.settled()
    world.end("club", "well.example")
    await other
    await world.close()


async def test_a_tenant_whose_images_arrive_may_have_any_number_waiting() -> None:
    world = World(128)
    for number in range(40):
        await world.fails(f"{number}.example")
    await world.known("well.example", 1)
    (begun,) = world.begin("shop", "well.example")
    await world.settled()
    world.end("shop", "well.example")
    await begun
    tasks = world.begin("shop", "well.example", 3000)
    await world.settled()
    assert not any(task.done() for task in tasks)
    await world.close()


async def test_a_place_that_is_kept_is_taken_until_it_is_left() -> None:
    places = FetchPlaces(1)
    async with places.place("shop", "a.example") as place:
        leave = place.keep()
    next_one = asyncio.create_task(_enter(places))
    await asyncio.sleep(0.01)
    assert not next_one.done()
    leave()
    await next_one


async def _enter(places: FetchPlaces) -> None:
    async with places.place("club", "b.example"):
        pass
