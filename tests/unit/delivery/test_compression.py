"""What is published with the default settings is readable without any codec library."""

import subprocess
import sys

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder

from service.kafka.publisher import CODECS
from service.settings.kafka import KafkaSettings

_READ_WITHOUT_CODECS = """
import sys

sys.modules["cramjam"] = None  # the codecs of aiokafka's extras
from aiokafka.record import MemoryRecords

batch = MemoryRecords(sys.stdin.buffer.read()).next_batch()
print(*[record.value.decode() for record in batch])
"""


def packed(settings: KafkaSettings) -> bytes:
    """Pack a record as the service's producers do."""
    batch = BatchBuilder(1_000_000, CODECS[settings.compression], is_transactional=True)
    batch.append(value=b"verdict", key=None, timestamp=None)
    return bytes(batch._build())


def read_by_a_fresh_client(batch: bytes) -> str:
    return subprocess.run(
        [sys.executable, "-c", _READ_WITHOUT_CODECS], input=batch, capture_output=True, check=True
    ).stdout.decode()


def test_a_client_without_codec_libraries_reads_what_is_published_by_default() -> None:
    assert read_by_a_fresh_client(packed(KafkaSettings())).split() == ["verdict"]


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_other_codecs_need_a_library(codec: str) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        read_by_a_fresh_client(packed(KafkaSettings.model_validate({"compression": codec})))
