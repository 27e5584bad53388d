"""Which addresses are public, private, or a cloud's metadata service. Pure.

The tables follow IANA's special-purpose and multicast registries (RFC 6890 and its updates) and not `ipaddress`,
whose idea of a global address differs between Python's patch releases and counts some multicast as global.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network


def _networks(*texts: str) -> tuple[IpNetwork, ...]:
    return tuple(ip_network(text) for text in texts)


_PRIVATE = _networks(
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",  # shared by carriers, and by some clouds' and overlays' internal services
    "127.0.0.0/8",
    "::1/128",
    "fc00::/7",
)

# Everything allocated to hosts on the internet lies in it, so what IANA may yet reserve elsewhere is refused already.
_GLOBAL_UNICAST_V6 = IPv6Network("2000::/3")

_NOT_PUBLIC = _PRIVATE + _networks(
    "0.0.0.0/8",  # "this host": connecting to it reaches loopback
    "168.63.129.16/32",  # Azure's host agent, in a public range and reachable from every virtual machine
    "169.254.0.0/16",  # link-local
    "192.0.0.0/24",  # protocol assignments
    "192.0.2.0/24",  # documentation
    "192.88.99.0/24",  # relays of 6to4
    "198.18.0.0/15",  # benchmarks
    "198.51.100.0/24",  # documentation
    "203.0.113.0/24",  # documentation
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and broadcast
    "2001::/23",  # protocol assignments, with Teredo, which holds an IPv4 address
    "2001:db8::/32",  # documentation
    "2002::/16",  # 6to4, which holds an IPv4 address
    "3fff::/20",  # documentation
)

_METADATA = _networks(
    "169.254.169.254/32",  # AWS, Azure, Google, Oracle and most others
    "169.254.170.0/24",  # AWS: credentials of containers and pods
    "fd00:ec2::/32",  # AWS
    "168.63.129.16/32",  # Azure
    "100.100.100.200/32",  # Alibaba
    "192.0.0.192/32",  # Oracle
    "fd00:c1::a9fe:a9fe/128",  # Oracle
    "fd20:ce::254/128",  # Google
    "169.254.42.42/32",  # Scaleway
    "fd00:42::42/128",  # Scaleway
)

# Addresses in it are another notation of the IPv4 address in their last 32 bits (RFC 6052): on networks without
# IPv4, DNS answers with them for every host that has no IPv6 address. 64:ff9b:1::/48 is not public by the table.
_NAT64 = IPv6Network("64:ff9b::/96")
_IPV4_BITS = 0xFFFF_FFFF


def really_reached(address: IpAddress) -> IpAddress:
    """Return the IPv4 address that an IPv4-mapped or NAT64 address stands for; any other unchanged."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & _IPV4_BITS)
    return address.ipv4_mapped or address


def is_public(address: IpAddress) -> bool:
    """Return whether this address reaches the same host from everywhere on the internet."""
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST_V6:
        return False
    return not _within(_NOT_PUBLIC, address)


def is_private(address: IpAddress) -> bool:
    """Return whether the address belongs to a host in a private network, or to this machine."""
    return _within(_PRIVATE, address)


def is_metadata(address: IpAddress) -> bool:
    """Return whether a cloud serves credentials or settings of this machine at the address."""
    return _within(_METADATA, address)


def names_metadata(network: IpNetwork) -> bool:
    """Return whether a network holds only a cloud's metadata service, so that it can only be meant."""
    return any(_is_within(network, metadata) for metadata in _METADATA)


def _within(networks: tuple[IpNetwork, ...], address: IpAddress) -> bool:
    return any(address in network for network in networks)


def _is_within(inner: IpNetwork, outer: IpNetwork) -> bool:
    return inner.network_address in outer and inner.broadcast_address in outer
