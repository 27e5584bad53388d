"""How published batches are compressed."""

import gzip

from aiokafka.codec import gzip_encode

import service.kafka.connection  # noqa: F401 - sets the level

_FASTEST = 4
"""What gzip's header says of level 1 (RFC 1952, XFL); 2 stands for level 9."""


def test_gzip_takes_the_level_that_costs_least() -> None:
    batch = b'{"decision":"allow"}' * 1000
    compressed = gzip_encode(batch)
    assert compressed[8] == _FASTEST
    assert gzip.decompress(compressed) == batch
