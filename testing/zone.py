"""A name server on this machine for resolvers that are real: it answers by name and type, late, or never."""

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import cast

# RFC 1035, sections 4.1.1 to 4.1.3.
_HEADER_BYTES = 12
_QUESTION = struct.Struct("!HH")  # type, class
_RECORD = struct.Struct("!HHHIH")  # name, type, class, time to live, length of what follows
_NAME_OF_QUESTION = 0xC00C  # a pointer to offset 12
_INTERNET = 1
_TYPES = {4: 1, 6: 28}  # A and AAAA, by version of the address
_ANSWER = 0x8180  # a response, recursion desired and available, no error
_NO_SUCH_NAME = 0x8183
_SERVER_FAILED = 0x8182

SILENT = "silent."
"""Names that begin so are never answered."""
BROKEN = "broken."
"""Names that begin so are answered with a failure."""


class Zone(asyncio.DatagramProtocol):
    """Answers for the names that it has; all others do not exist."""

    def __init__(self, addresses: Mapping[str, Sequence[str]]) -> None:
        self.addresses = dict(addresses)
        self.delay_s = 0.0
        self.asked: Counter[str] = Counter()
        """Questions for each name, of whatever type."""
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python 3.11's datagram transport is no subclass of what its documentation calls it.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        name, end = _name(data)
        self.asked[name] += 1
        if name.startswith(SILENT) or self._transport is None:
            return
        answer = self._answer(data, name, end)
        asyncio.get_running_loop().call_later(self.delay_s, self._transport.sendto, answer, addr)

    def _answer(self, data: bytes, name: str, end: int) -> bytes:
        asked_type, _ = _QUESTION.unpack_from(data, end)
        records = [record for text in self.addresses.get(name, ()) if (record := _record(text, asked_type))]
        flags = _ANSWER if name in self.addresses else _NO_SUCH_NAME
        if name.startswith(BROKEN):
            flags = _SERVER_FAILED
        header = data[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0)
        return header + data[_HEADER_BYTES : end + _QUESTION.size] + b"".join(records)


def _name(data: bytes) -> tuple[str, int]:
    labels, position = [], _HEADER_BYTES
    while length := data[position]:
        labels.append(data[position + 1 : position + 1 + length].decode().lower())
        position += 1 + length
    return ".".join(labels), position + 1


def _record(text: str, asked_type: int) -> bytes:
    address = ip_address(text)
    if _TYPES[address.version] != asked_type:
        return b""
    # A time to live of zero: the answer is good for this look-up only.
    header = _RECORD.pack(_NAME_OF_QUESTION, asked_type, _INTERNET, 0, len(address.packed))
    return header + address.packed


@asynccontextmanager
async def serving_names(addresses: Mapping[str, Sequence[str]]) -> AsyncIterator[tuple[Zone, str]]:
    """Run a name server until the block ends; gives it, and its address with the port."""
    transport, zone = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Zone(addresses), local_addr=("127.0.0.1", 0)
    )
    try:
        yield zone, f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    finally:
        transport.close()
