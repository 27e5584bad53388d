"""What keeps the stream from starting."""

import pytest

from service.delivery.processor import Processor
from service.kafka.errors import KafkaUnreachableError
from service.settings.kafka import KafkaSettings
from service.settings.settings import Settings
from testing.stream_worker import ObedientHandler


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
async def test_brokers_that_do_not_answer_stop_the_start_and_name_the_setting(
    delivery: str, unused_tcp_port: int
) -> None:
    kafka = KafkaSettings(bootstrap_servers=f"127.0.0.1:{unused_tcp_port}")
    settings = Settings.model_validate({"delivery": delivery, "kafka": kafka})
    with pytest.raises(KafkaUnreachableError, match=r"kafka\.bootstrap_servers"):
        await Processor(settings, ObedientHandler("nowhere")).run()
