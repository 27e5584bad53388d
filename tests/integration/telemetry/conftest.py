"""What the telemetry tests share."""

from collections.abc import Iterator

import pytest

from testing.otlp_receiver import Collector, running_collector


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running_collector() as server:
        yield server
