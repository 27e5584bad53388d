"""Producers end whatever they are: an idempotent one has a transaction manager, another has none."""

import pytest
from aiokafka import AIOKafkaProducer

from service.kafka.connection import discard


@pytest.mark.parametrize("is_idempotent", [True, False])
async def test_a_producer_of_either_kind_is_discarded(is_idempotent: bool) -> None:
    producer = AIOKafkaProducer(bootstrap_servers="127.0.0.1:9", enable_idempotence=is_idempotent)
    await discard(producer)
    assert producer._closed
