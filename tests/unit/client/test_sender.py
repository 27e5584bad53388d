"""What `modstream send` puts into an event."""

import pytest

from service.client.sender import EVENT_OVERHEAD_BYTES, inline_limit_bytes
from service.settings.kafka import KafkaSettings


@pytest.mark.parametrize("smaller", ["max_request_bytes", "max_event_bytes"])
def test_a_file_is_sent_inside_an_event_only_if_brokers_take_it_and_the_service_reads_it(smaller: str) -> None:
    limits = {"max_request_bytes": 10_000_000, "max_event_bytes": 10_000_000, smaller: 400_000 + EVENT_OVERHEAD_BYTES}
    assert inline_limit_bytes(KafkaSettings(**limits)) == 300_000
    assert inline_limit_bytes(KafkaSettings(max_request_bytes=1)) == 0
