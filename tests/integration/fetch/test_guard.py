"""No private address is contacted, in whatever notation and by whatever way: the server there sees no connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from structlog.testing import capture_logs

from schemas.image_uploaded import ImageByUrlV1
from service.core.errors import RejectedError
from service.media.errors import AddressNotAllowedError, FetchFailedError, ImageReferenceError
from service.media.fetch.fetcher import ImageFetcher
from service.settings.media import FetchSettings
from testing.dns import NameServerResolver, name_server
from testing.http_server import LocalServer, body, redirect, serving

IMAGE = b"an image"
OTHER_LOOPBACK = "127.0.0.2"

# What the operating system connects to this machine, were it let: the tests below prove something only because of it.
REACH_THIS_MACHINE = [
    "127.0.0.1",
    "localhost",
    "127.1",
    "127.0.1",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "0x7f000001",
    "0x7f.1",
    "0X7F.0x0.0.1",
    "0",
    "0.0.0.0",  # noqa: S104 - an address to be refused, not to listen on
    "::ffff:127.0.0.1",
    "::FFFF:7F00:1",
    "0:0:0:0:0:ffff:7f00:0001",
]

HOSTS = [host if ":" not in host else f"[{host}]" for host in REACH_THIS_MACHINE] + [
    "LOCALHOST",
    "localhost..",
    "127.0.0.1.",
    "127.0.0.1..",
    "127.255.255.254",
    "127.0.0.1:80@127.0.0.1",
    "example.invalid@127.0.0.1",
    "example.invalid:80@127.0.0.1",
    "@127.0.0.1",
    "example.invalid\\@127.0.0.1",
    "127.0.0.1\\@example.invalid",
    "127\u30020\u30020\u30021",  # ideographic full stops
    "127\uff0e0\uff0e0\uff0e1",  # full-width ones
    "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460",  # circled digits
    "\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54",  # full-width letters
    "%31%32%37.0.0.1",
    "127%2e0%2e0%2e1",
    "127.0.0.1%00.example.invalid",
    "127.0.0.1%20",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::127.0.0.1]",  # IPv4-compatible
    "[64:ff9b::127.0.0.1]",  # NAT64
    "[64:ff9b:1::127.0.0.1]",  # NAT64 with a local prefix
    "[2002:7f00:1::]",  # 6to4
    "[2001:0:7f00:1::80ff:fffe]",  # Teredo
    "[fe80::1%25lo]",
    "[::1%25lo]",
    "[::1%lo]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "[fec0::1]",
    "[2001:db8::1]",
    "[127.0.0.1]",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "169.254.170.2",
    "[::ffff:169.254.169.254]",
    "0xa9fea9fe",
    "2852039166",
    "168.63.129.16",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
]


# Whether these resolve at all is up to the machine.
NAMES = ["localhost.", "LocalHost.", "ip6-localhost", "example.invalid#@127.0.0.1"]


@asynccontextmanager
async def this_machine() -> AsyncIterator[list[LocalServer]]:
    """Serve on one port of every kind of loopback address that there is."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(serving(body(IMAGE)))
        servers = [first]
        for host in ("::1", OTHER_LOOPBACK):
            try:
                servers.append(await stack.enter_async_context(serving(body(IMAGE), host=host, port=first.port)))
            except OSError:  # no IPv6 here
                continue
        yield servers


@pytest.mark.parametrize("host", REACH_THIS_MACHINE)
async def test_without_the_guard_the_notation_would_reach_this_machine(host: str) -> None:
    async with this_machine() as servers:
        try:
            _, writer = await asyncio.open_connection(host, servers[0].port)
        except OSError as error:
            pytest.skip(f"this operating system does not read it so: {error.strerror}")
        writer.close()
        await writer.wait_closed()
        assert sum(server.connections for server in servers) == 1


@pytest.mark.parametrize("host", HOSTS)
async def test_no_notation_of_a_private_address_is_contacted(host: str) -> None:
    async with this_machine() as servers, ImageFetcher(FetchSettings()) as fetcher:
        with pytest.raises((AddressNotAllowedError, ImageReferenceError)):
            await fetcher.fetch(ImageByUrlV1(url=f"http://{host}:{servers[0].port}/i.jpg"))
        assert sum(server.connections for server in servers) == 0


@pytest.mark.parametrize("host", NAMES)
async def test_no_name_of_a_private_address_is_contacted(host: str) -> None:
    async with this_machine() as servers, ImageFetcher(FetchSettings()) as fetcher:
        with pytest.raises((AddressNotAllowedError, FetchFailedError)):
            await fetcher.fetch(ImageByUrlV1(url=f"http://{host}:{servers[0].port}/i.jpg"))
        assert sum(server.connections for server in servers) == 0


@pytest.mark.parametrize("scheme", ["https", "HTTP", "HtTpS"])
async def test_no_scheme_gets_around_the_guard(scheme: str) -> None:
    async with this_machine() as servers, ImageFetcher(FetchSettings()) as fetcher:
        with pytest.raises(AddressNotAllowedError):
            await fetcher.fetch(ImageByUrlV1(url=f"{scheme}://127.0.0.1:{servers[0].port}/i.jpg"))
        assert sum(server.connections for server in servers) == 0


@pytest.mark.parametrize("host", HOSTS + NAMES)
async def test_no_redirect_leads_to_a_private_address(host: str) -> None:
    settings = FetchSettings(allow_networks=(f"{OTHER_LOOPBACK}/32",))
    async with this_machine() as servers, ImageFetcher(settings) as fetcher:
        async with serving(redirect(f"http://{host}:{servers[0].port}/i.jpg"), host=OTHER_LOOPBACK) as open_server:
            with pytest.raises((RejectedError, FetchFailedError)):
                await fetcher.fetch(ImageByUrlV1(url=f"{open_server.url}/i.jpg"))
            assert open_server.connections == 1
        assert sum(server.connections for server in servers) == 0


async def test_a_refusal_names_host_and_setting_and_its_address_is_for_the_log() -> None:
    async with this_machine() as servers, ImageFetcher(FetchSettings()) as fetcher:
        with pytest.raises(AddressNotAllowedError) as raised, capture_logs() as logs:
            await fetcher.fetch(ImageByUrlV1(url=f"http://localhost:{servers[0].port}/i.jpg"))
    assert str(raised.value) == "localhost may not be contacted (media.fetch.allow_hosts, allow_networks)"
    assert [(line["event"], line["host"]) for line in logs] == [("image.address_refused", "localhost")]
    assert logs[0]["address"] in {"127.0.0.1", "::1"}


class TestSettingsThatOpen:
    async def test_a_network_opens_its_addresses_only(self) -> None:
        settings = FetchSettings(allow_networks=("127.0.0.1/32",))
        async with this_machine() as servers, ImageFetcher(settings) as fetcher:
            port = servers[0].port
            fetched = await fetcher.fetch(ImageByUrlV1(url=f"http://127.0.0.1:{port}/i.jpg"))
            assert fetched.data == IMAGE
            with pytest.raises(AddressNotAllowedError):
                await fetcher.fetch(ImageByUrlV1(url=f"http://{OTHER_LOOPBACK}:{port}/i.jpg"))

    @pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost."])
    async def test_a_named_host_is_open_however_it_is_written(self, host: str) -> None:
        settings = FetchSettings(allow_hosts=("LocalHost",))
        async with (
            this_machine() as servers,
            name_server(["127.0.0.1"]) as dns,
            ImageFetcher(settings, resolver=NameServerResolver(dns)) as fetcher,
        ):
            fetched = await fetcher.fetch(ImageByUrlV1(url=f"http://{host}:{servers[0].port}/i.jpg"))
            assert fetched.data == IMAGE

    @pytest.mark.parametrize("host", ["127.0.0.1", "sub.localhost", "localhost.localdomain"])
    async def test_a_named_host_opens_neither_its_address_nor_other_names(self, host: str) -> None:
        settings = FetchSettings(allow_hosts=("localhost",))
        async with (
            this_machine() as servers,
            name_server(["127.0.0.1"]) as dns,
            ImageFetcher(settings, resolver=NameServerResolver(dns)) as fetcher,
        ):
            port = servers[0].port
            await fetcher.fetch(ImageByUrlV1(url=f"http://localhost:{port}/i.jpg"))
            with pytest.raises(AddressNotAllowedError):
                await fetcher.fetch(ImageByUrlV1(url=f"http://{host}:{port}/i.jpg"))

    async def test_a_redirect_from_a_named_host_is_on_its_own(self) -> None:
        settings = FetchSettings(allow_hosts=("localhost",))
        async with this_machine() as servers, ImageFetcher(settings) as fetcher:
            async with serving(redirect(f"http://127.0.0.1:{servers[0].port}/i.jpg")) as named:
                with pytest.raises(AddressNotAllowedError):
                    await fetcher.fetch(ImageByUrlV1(url=f"http://localhost:{named.port}/i.jpg"))
            assert sum(server.connections for server in servers) == 0

    async def test_a_named_host_cannot_lead_to_a_metadata_service(self) -> None:
        settings = FetchSettings(allow_hosts=("friend.test",))
        async with (
            name_server(["169.254.169.254", "fd00:ec2::254"]) as dns,
            ImageFetcher(settings, resolver=NameServerResolver(dns)) as fetcher,
        ):
            with pytest.raises(AddressNotAllowedError):
                await fetcher.fetch(ImageByUrlV1(url="http://friend.test/i.jpg"))


class TestNamesThatChangeTheirMind:
    """Where "public" is meant, an opened loopback address stands for it: nothing outside this machine is asked."""

    async def test_the_second_lookup_opens_nothing(self) -> None:
        settings = FetchSettings(allow_networks=(f"{OTHER_LOOPBACK}/32",))
        async with (
            this_machine() as servers,
            name_server([OTHER_LOOPBACK], ["127.0.0.1"]) as dns,
            ImageFetcher(settings, resolver=NameServerResolver(dns)) as fetcher,
        ):
            private = servers[0]
            # Each port of a host is looked up for itself, so the redirect asks for the name again.
            async with serving(redirect(f"http://rebind.test:{private.port}/i.jpg"), host=OTHER_LOOPBACK) as public:
                with pytest.raises(AddressNotAllowedError):
                    await fetcher.fetch(ImageByUrlV1(url=f"http://rebind.test:{public.port}/i.jpg"))
                assert (public.connections, dns.lookups) == (1, 2)
            assert private.connections == 0

    async def test_the_address_that_was_judged_is_the_one_that_is_dialled(self) -> None:
        settings = FetchSettings(allow_networks=(f"{OTHER_LOOPBACK}/32",))
        async with this_machine() as servers, name_server([OTHER_LOOPBACK], ["127.0.0.1"]) as dns:
            async with ImageFetcher(settings, resolver=NameServerResolver(dns)) as fetcher:
                await fetcher.fetch(ImageByUrlV1(url=f"http://rebind.test:{servers[0].port}/i.jpg"))
            assert dns.lookups == 1
            assert servers[0].connections == 0

    @pytest.mark.parametrize("answer", [["127.0.0.1"], ["127.0.0.1", "10.0.0.1"], ["::1", "127.0.0.1", "fd00::1"]])
    async def test_a_name_with_private_addresses_only_is_refused(self, answer: list[str]) -> None:
        async with this_machine() as servers, name_server(answer) as dns:
            async with ImageFetcher(FetchSettings(), resolver=NameServerResolver(dns)) as fetcher:
                with pytest.raises(AddressNotAllowedError):
                    await fetcher.fetch(ImageByUrlV1(url=f"http://inside.test:{servers[0].port}/i.jpg"))
            assert sum(server.connections for server in servers) == 0

    @pytest.mark.parametrize("answer", [["127.0.0.1", OTHER_LOOPBACK], ["::1", "127.0.0.1", OTHER_LOOPBACK]])
    async def test_of_a_mixed_answer_only_the_open_address_is_dialled(self, answer: list[str]) -> None:
        settings = FetchSettings(allow_networks=(f"{OTHER_LOOPBACK}/32",))
        async with this_machine() as servers, name_server(answer) as dns:
            async with ImageFetcher(settings, resolver=NameServerResolver(dns)) as fetcher:
                await fetcher.fetch(ImageByUrlV1(url=f"http://mixed.test:{servers[0].port}/i.jpg"))
            assert [server.host for server in servers if server.connections] == [OTHER_LOOPBACK]

    async def test_a_mixed_answer_whose_last_address_is_open_and_down_is_worth_another_attempt(self) -> None:
        settings = FetchSettings(allow_networks=(f"{OTHER_LOOPBACK}/32",))
        async with serving(body(IMAGE)) as private, name_server(["127.0.0.1", OTHER_LOOPBACK]) as dns:
            async with ImageFetcher(settings, resolver=NameServerResolver(dns)) as fetcher:
                with pytest.raises(FetchFailedError):
                    await fetcher.fetch(ImageByUrlV1(url=f"http://mixed.test:{private.port}/i.jpg"))
            assert private.connections == 0
