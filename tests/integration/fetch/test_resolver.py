"""Names become addresses by the hosts file and a real name server, and some that never do hold up no other."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest
from aiodns import DNSResolver

from schemas.image_uploaded import ImageByUrlV1
from service.core.errors import ModstreamError
from service.media.errors import FetchFailedError, FetchTimeoutError
from service.media.fetch import resolver as resolver_module
from service.media.fetch.fetcher import ImageFetcher
from service.media.fetch.resolver import (
    MAX_ADDRESSES,
    REMEMBER_FAILURE_S,
    REMEMBER_S,
    NameResolver,
    NameTimeoutError,
    NameUnknownError,
)
from service.settings.media import FetchSettings
from testing.http_server import body, serving
from testing.waiting import wait_until
from testing.zone import Zone, serving_names

NAMES = {
    "a.test": ["127.0.0.1"],
    "both.test": ["127.0.0.2", "::1"],
    "many.test": [f"127.0.1.{number}" for number in range(40)],
    "only.four.test": ["127.0.0.3"],
    "inside.search.test": ["127.0.0.4"],
    "broken.test": ["127.0.0.5"],
}


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@asynccontextmanager
async def resolving(*, timeout_s: float = 5.0) -> AsyncIterator[tuple[NameResolver, Zone, Clock]]:
    clock = Clock()
    async with serving_names(NAMES) as (zone, server):
        resolver = NameResolver(timeout_s=timeout_s, servers=[server], clock=clock)
        try:
            yield resolver, zone, clock
        finally:
            await resolver.close()


async def addresses(resolver: NameResolver, host: str) -> list[str]:
    return [found["host"] for found in await resolver.resolve(host, 80)]


async def test_a_name_has_the_addresses_that_its_server_says() -> None:
    async with resolving() as (resolver, _, _):
        (found,) = await resolver.resolve("a.test", 8080)
        assert (found["host"], found["port"], found["family"]) == ("127.0.0.1", 8080, socket.AF_INET)
        assert await addresses(resolver, "A.Test") == ["127.0.0.1"]


def own_hosts() -> list[tuple[str, str]]:
    """Return the names with IPv4 addresses in this machine's hosts file, the first address of each."""
    lines = (line.partition("#")[0].split() for line in Path("/etc/hosts").read_text().splitlines())
    found: dict[str, str] = {}
    for address, *names in filter(None, lines):
        for name in names if "." in address else ():
            found.setdefault(name.lower(), address)
    return list(found.items())


async def test_the_hosts_file_counts_before_dns() -> None:
    async with resolving() as (resolver, zone, _):
        for name, address in own_hosts():
            zone.addresses[name] = ["127.0.0.99"]
            found = await addresses(resolver, name)
            assert address in found
            assert "127.0.0.99" not in found
        assert not zone.asked


async def test_search_domains_and_their_options_count(monkeypatch: pytest.MonkeyPatch) -> None:
    # As `search` and `options` in resolv.conf, which these variables replace for one process.
    monkeypatch.setenv("LOCALDOMAIN", "search.test")
    monkeypatch.setenv("RES_OPTIONS", "ndots:2")
    async with resolving() as (resolver, zone, _):
        assert await addresses(resolver, "inside") == ["127.0.0.4"]
        assert await addresses(resolver, "a.test") == ["127.0.0.1"]
        assert zone.asked["a.test.search.test"] > 0
        with pytest.raises(NameUnknownError):
            await resolver.resolve("inside.")


def own_name_servers() -> set[IPv4Address | IPv6Address]:
    lines = (line.split() for line in Path("/etc/resolv.conf").read_text().splitlines())
    return {ip_address(line[1].partition("%")[0]) for line in lines if line[:1] == ["nameserver"]}


async def test_the_name_servers_are_those_of_this_machine() -> None:
    ares = DNSResolver()
    asked = {ip_address(server.strip("[]")) for server in ares.nameservers}
    await ares.close()
    assert asked == own_name_servers()


async def test_this_machine_has_its_usual_name() -> None:
    async with resolving() as (resolver, _, _):
        assert set(await addresses(resolver, "localhost")) <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize(
    ("reachable", "expected"),
    [
        ({socket.AF_INET}, {"127.0.0.2"}),
        ({socket.AF_INET6}, {"::1"}),
        ({socket.AF_INET, socket.AF_INET6}, {"127.0.0.2", "::1"}),
        (set(), {"127.0.0.2", "::1"}),
    ],
)
async def test_addresses_that_this_machine_has_no_way_to_are_left_out(
    monkeypatch: pytest.MonkeyPatch, reachable: set[socket.AddressFamily], expected: set[str]
) -> None:
    monkeypatch.setattr(resolver_module, "_has_way", lambda family, _: family in reachable)
    async with resolving() as (resolver, _, _):
        assert set(await addresses(resolver, "both.test")) == expected


async def test_no_more_addresses_than_are_tried_are_given() -> None:
    async with resolving() as (resolver, _, _):
        assert len(await resolver.resolve("many.test")) == MAX_ADDRESSES


@pytest.mark.parametrize("host", ["nowhere.test", "broken.test", "a..test", f"{'x' * 70}.test"])
async def test_what_has_no_address_is_unknown(host: str) -> None:
    async with resolving() as (resolver, _, _):
        with pytest.raises(NameUnknownError):
            await resolver.resolve(host)


class TestNamesThatAreNeverAnswered:
    async def test_a_look_up_ends_at_its_limit(self) -> None:
        async with resolving(timeout_s=0.2) as (resolver, _, _):
            with pytest.raises(NameTimeoutError):
                await resolver.resolve("silent.test")

    async def test_they_hold_up_no_other_name(self) -> None:
        async with resolving(timeout_s=30) as (resolver, zone, _):
            silent = [asyncio.create_task(resolver.resolve(f"silent.{n}.test"), name="silent") for n in range(500)]
            await wait_until(lambda: len(zone.asked) >= 500, description="all of them are asked for")
            assert await addresses(resolver, "a.test") == ["127.0.0.1"]
            assert not any(lookup.done() for lookup in silent)
            for lookup in silent:
                lookup.cancel()

    async def test_an_innocent_hosts_image_is_fetched_beside_them(self) -> None:
        settings = FetchSettings(allow_networks=("127.0.0.0/8",), max_connections=200, dns_timeout_s=30)
        async with (
            resolving(timeout_s=30) as (resolver, zone, _),
            serving(body(b"an image")) as server,
            ImageFetcher(settings, resolver=resolver) as fetcher,
        ):
            silent = [
                asyncio.create_task(outcome(fetcher, f"http://silent.{number}.test/i.jpg"), name="silent")
                for number in range(120)
            ]
            await wait_until(lambda: len(zone.asked) >= 120, description="all of them are asked for")
            assert await outcome(fetcher, f"http://a.test:{server.port}/i.jpg") == b"an image"
            for fetching in silent:
                fetching.cancel()

    async def test_the_error_names_the_setting(self) -> None:
        settings = FetchSettings(dns_timeout_s=0.2)
        async with resolving(timeout_s=0.2) as (resolver, _, _), ImageFetcher(settings, resolver=resolver) as fetcher:
            error = await outcome(fetcher, "http://silent.test/i.jpg")
        assert isinstance(error, FetchTimeoutError)
        assert "not resolved within 0.2 s (media.fetch.dns_timeout_s)" in str(error)

    async def test_there_is_a_limit_to_how_many_are_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(resolver_module, "MAX_LOOKUPS", 2)
        async with resolving() as (resolver, zone, _):
            waiting = [asyncio.create_task(resolver.resolve(f"silent.{n}.test"), name="silent") for n in range(2)]
            await wait_until(lambda: len(zone.asked) >= 2, description="both are asked for")
            with pytest.raises(NameTimeoutError):
                await resolver.resolve("a.test")
            for lookup in waiting:
                lookup.cancel()


class TestAskingOnce:
    async def test_many_that_want_one_name_ask_once(self) -> None:
        async with resolving() as (resolver, zone, _):
            zone.delay_s = 0.05
            await asyncio.gather(*(resolver.resolve("a.test", port) for port in range(50)))
            assert zone.asked["a.test"] <= 2  # one for each type of address

    async def test_who_gives_up_leaves_the_look_up_to_the_others(self) -> None:
        async with resolving() as (resolver, zone, _):
            zone.delay_s = 0.2
            first, second = (asyncio.create_task(addresses(resolver, "a.test"), name="look up") for _ in range(2))
            await wait_until(lambda: zone.asked["a.test"] > 0, description="it is asked for")
            first.cancel()
            assert await second == ["127.0.0.1"]

    async def test_an_answer_is_remembered_for_a_while(self) -> None:
        async with resolving() as (resolver, zone, clock):
            assert await addresses(resolver, "a.test") == ["127.0.0.1"]
            zone.addresses["a.test"] = ["127.0.0.7"]
            clock.now_s += REMEMBER_S - 0.1
            assert await addresses(resolver, "a.test") == ["127.0.0.1"]
            clock.now_s += 0.2
            assert await addresses(resolver, "a.test") == ["127.0.0.7"]

    async def test_a_failure_is_remembered_for_a_moment(self) -> None:
        async with resolving() as (resolver, zone, clock):
            with pytest.raises(NameUnknownError):
                await resolver.resolve("late.test")
            zone.addresses["late.test"] = ["127.0.0.8"]
            with pytest.raises(NameUnknownError):
                await resolver.resolve("late.test")
            clock.now_s += REMEMBER_FAILURE_S
            assert await addresses(resolver, "late.test") == ["127.0.0.8"]

    async def test_what_is_remembered_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(resolver_module, "MAX_REMEMBERED", 2)
        async with resolving() as (resolver, zone, _):
            for host in ("a.test", "both.test", "only.four.test", "a.test"):
                await resolver.resolve(host)
            assert zone.asked["a.test"] >= 2


async def outcome(fetcher: ImageFetcher, url: str) -> bytes | ModstreamError:
    try:
        return bytes((await fetcher.fetch(ImageByUrlV1(url=url))).data)
    except (FetchFailedError, FetchTimeoutError) as error:
        return error
