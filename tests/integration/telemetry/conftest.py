"""What the telemetry tests share."""

from collections.abc import Iterator
from threading import Thread

import pytest

from tests.support.otlp_receiver import Collector


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = Thread(target=server.serve_forever, name="collector")
        thread.start()
        yield server
        server.shutdown()
        thread.join()
