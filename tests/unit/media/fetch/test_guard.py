"""What the guard permits, against a model of its own: flags of `ipaddress`, bytes and strings instead of our tables."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.media.fetch.guard import AddressGuard, AddressRefusedError

STRICT = AddressGuard([], trusts_private=False)
TRUSTING = AddressGuard([], trusts_private=True)

METADATA = ["169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"]

NEVER_PUBLIC = [
    *METADATA,
    "0.0.0.0",  # noqa: S104 - an address to be refused, not to listen on
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.255",
    "169.254.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.255.255",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "233.252.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fdff::1",
    "fe80::1",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "fe80::1%eth0",
    "2606:4700::1%eth0",
]

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "192.167.255.255",
    "198.17.255.255",
    "198.20.0.1",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2a00:1450::1",
]

NO_ADDRESSES = ["", "localhost", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.1 ", "[::1]", "1.1.1.1:80"]


@pytest.mark.parametrize("address", NEVER_PUBLIC)
def test_what_is_not_public_is_refused(address: str) -> None:
    assert not STRICT.permits(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_permitted(address: str) -> None:
    assert STRICT.permits(address)


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_other_notations_are_refused_even_where_everything_is_open(text: str) -> None:
    assert not AddressGuard([ip_network("0.0.0.0/0"), ip_network("::/0")], trusts_private=True).permits(text)


def any_address() -> st.SearchStrategy[str]:
    """Addresses of both kinds, those of special networks often, and IPv4 addresses inside IPv6 ones."""
    inside = st.ip_addresses(v=4).map(int)
    wrapped = st.one_of(
        inside.map(lambda v4: 0xFFFF << 32 | v4),
        inside,
        inside.map(lambda v4: 0x64_FF9B << 96 | v4),
        inside.map(lambda v4: 0x64_FF9B_0001 << 80 | v4),
        inside.map(lambda v4: 0x2002 << 112 | v4 << 80),
        inside.map(lambda v4: 0x2001 << 112 | (v4 ^ 0xFFFF_FFFF)),
    ).map(IPv6Address)
    edges = st.sampled_from([*NEVER_PUBLIC, *PUBLIC]).filter(lambda text: "%" not in text).map(ip_address)
    near = st.tuples(edges, st.integers(-2, 2)).map(lambda pair: _shifted(*pair))
    return st.one_of(st.ip_addresses(), wrapped, near).map(str)


def _shifted(address: IPv4Address | IPv6Address, steps: int) -> IPv4Address | IPv6Address:
    bits = 32 if address.version == 4 else 128
    return type(address)((int(address) + steps) % (1 << bits))


def is_global_by_the_model(text: str) -> bool:
    address = ip_address(text)
    if isinstance(address, IPv6Address):
        if address.packed.startswith(bytes.fromhex("0064ff9b0000000000000000")):
            return is_global_by_the_model(str(IPv4Address(address.packed[12:])))
        if address.ipv4_mapped is not None:
            return is_global_by_the_model(str(address.ipv4_mapped))
        if address.sixtofour or address.teredo or address.is_site_local or address.packed[:12] == bytes(12):
            return False
    elif text in {"168.63.129.16"} or text.startswith("192.88.99."):
        return False
    odd = address.is_multicast or address.is_reserved or address.is_link_local or address.is_loopback
    return address.is_global and not odd and not address.is_unspecified and not address.is_private


@settings(max_examples=1000)
@given(any_address())
def test_no_address_is_permitted_that_is_not_global(text: str) -> None:
    if STRICT.permits(text):
        assert is_global_by_the_model(text)


@settings(max_examples=500)
@given(any_address())
def test_trust_adds_private_addresses_and_nothing_else(text: str) -> None:
    if TRUSTING.permits(text) and not STRICT.permits(text):
        address = ip_address(text)
        reached = address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
        if reached.version == 6 and text.startswith("64:ff9b::"):
            reached = IPv4Address(reached.packed[12:])
        assert reached.is_private or reached in ip_network("100.64.0.0/10")
        assert not (reached.is_link_local or reached.is_multicast or reached.is_unspecified or reached.is_reserved) or (
            str(reached) == "::1"  # lies in ::/8, which counts as reserved
        )


@pytest.mark.parametrize("address", METADATA)
@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "169.254.0.0/16", "100.64.0.0/10", "fd00::/8"])
def test_a_wide_network_does_not_open_a_metadata_service(address: str, network: str) -> None:
    assert not AddressGuard([ip_network(network)], trusts_private=True).permits(address)


@pytest.mark.parametrize("address", METADATA)
def test_a_network_of_its_own_opens_a_metadata_service(address: str) -> None:
    assert AddressGuard([ip_network(address)], trusts_private=False).permits(address)


def test_a_network_opens_its_addresses_however_they_are_written() -> None:
    guard = AddressGuard([ip_network("10.20.0.0/16")], trusts_private=False)
    permitted = ["10.20.0.1", "::ffff:10.20.255.255", "64:ff9b::10.20.0.1"]
    refused = ["10.21.0.1", "::ffff:10.21.0.1", "10.19.255.255", "fd00::10.20.0.1"]
    assert [guard.permits(address) for address in permitted + refused] == [True] * 3 + [False] * 4


def test_no_socket_is_made_for_a_refused_address() -> None:
    with pytest.raises(AddressRefusedError) as raised:
        STRICT.open_socket((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 80)))
    assert raised.value.address == "127.0.0.1"


def test_a_socket_is_made_of_the_kind_that_is_asked_for() -> None:
    with STRICT.open_socket((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("8.8.8.8", 80))) as made:
        assert (made.family, made.type) == (socket.AF_INET, socket.SOCK_STREAM)
