"""A real name server on this machine whose answers change, and a resolver that asks it."""

import asyncio
import itertools
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import cast

from aiohttp.abc import AbstractResolver, ResolveResult

# RFC 1035, sections 4.1.1 and 4.1.3.
_HEADER = struct.Struct("!HHHHHH")  # id, flags, questions, answers, authorities, additional
_RECORD = struct.Struct("!HHHIH")  # name, type, class, time to live, length of what follows
_QUERY_FLAGS = 0x0100  # recursion desired
_RESPONSE_FLAGS = 0x8180  # a response, recursion desired and available, no error
_NAME_OF_QUESTION = 0xC00C  # a pointer to offset 12
_RECORD_TYPES = {4: 1, 6: 28}  # A and AAAA, by version of the address
_ANY = 255
_INTERNET = 1


class NameServer(asyncio.DatagramProtocol):
    """Gives its answers one after the other, and the last one again and again; each is a list of addresses."""

    def __init__(self, answers: Sequence[Sequence[str]]) -> None:
        self._answers = answers
        self._transport: asyncio.DatagramTransport | None = None
        self.lookups = 0
        self.port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python 3.11's datagram transport is no subclass of what its documentation calls it.
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        addresses = [ip_address(text) for text in self._answers[min(self.lookups, len(self._answers) - 1)]]
        self.lookups += 1
        query_id = _HEADER.unpack_from(data)[0]
        header = _HEADER.pack(query_id, _RESPONSE_FLAGS, 1, len(addresses), 0, 0)
        assert self._transport is not None
        self._transport.sendto(header + data[_HEADER.size :] + b"".join(map(_record, addresses)), addr)


def _record(address: IPv4Address | IPv6Address) -> bytes:
    packed = address.packed
    # A time to live of zero: the answer is good for this look-up only.
    return _RECORD.pack(_NAME_OF_QUESTION, _RECORD_TYPES[address.version], _INTERNET, 0, len(packed)) + packed


@asynccontextmanager
async def name_server(*answers: Sequence[str]) -> AsyncIterator[NameServer]:
    """Run a name server until the block ends."""
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: NameServer(answers), local_addr=("127.0.0.1", 0)
    )
    try:
        yield server
    finally:
        transport.close()


class NameServerResolver(AbstractResolver):
    """Asks one name server for each look-up and remembers nothing."""

    def __init__(self, server: NameServer) -> None:
        self._server = server
        self._ids = itertools.count(1)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        answer = await self._ask(host)
        addresses = list(_addresses(answer))
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no addresses")
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Hold nothing open."""

    async def _ask(self, host: str) -> bytes:
        labels = [label.encode("ascii") for label in host.removesuffix(".").split(".")]
        name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
        query = _HEADER.pack(next(self._ids), _QUERY_FLAGS, 1, 0, 0, 0) + name + struct.pack("!HH", _ANY, _INTERNET)
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.setblocking(False)
            await loop.sock_connect(asking, ("127.0.0.1", self._server.port))
            await loop.sock_sendall(asking, query)
            return await loop.sock_recv(asking, 4096)


def _addresses(answer: bytes) -> list[IPv4Address | IPv6Address]:
    count = _HEADER.unpack_from(answer)[3]
    position = answer.index(b"\0", _HEADER.size) + 1 + 4  # behind the question's name, type and class
    found = []
    for _ in range(count):
        *_, length = _RECORD.unpack_from(answer, position)
        position += _RECORD.size
        found.append(ip_address(answer[position : position + length]))
        position += length
    return found
