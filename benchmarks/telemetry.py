"""What telemetry costs: every record traced, all metrics by OTLP and scraped, against none of it.

Once as the service runs, with photographs by HTTP and an engine that is paced like a GPU; and once with nothing to wait
for, where every microsecond is throughput. A process of its own stands for the collector and for Prometheus.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from benchmarks.contest import Contest, Value, running_contest
from benchmarks.peers.running import running
from benchmarks.photographs import by_reference, photo_server
from benchmarks.runner import Comparison, Contender, TimedRun
from benchmarks.service import upload
from service.settings.engine import RehearsalSettings
from testing.kafka import free_port

MODULE = "benchmarks.peers.modstream_service"
PACE = RehearsalSettings()
# Half a minute a round.
PACED_EVENTS = 80 * PACE.batch_size
INLINE_EVENTS = 4000
ROUNDS = 3
TARGET_RATIO = 0.95


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Compare the service with and without telemetry."""
    with running_contest() as contest, photo_server() as address, _sink() as telemetry:
        photographs = partial(by_reference, address)
        yield (
            Comparison(
                f"photographs by HTTP, batches of {PACE.batch_size} in {PACE.batch_s * 1000:.0f} ms",
                _contenders(contest, telemetry, PACE.batch_s, PACED_EVENTS, photographs),
                target_ratio=TARGET_RATIO,
                rounds=ROUNDS,
                warm_ups=0,
                quick=False,
            ),
            Comparison(
                "inline images of 10 KB, engine that answers at once",
                _contenders(contest, telemetry, 0.0, INLINE_EVENTS, upload),
                unit="events/s",
                rounds=ROUNDS,
                warm_ups=0,
            ),
        )


def _contenders(
    contest: Contest, telemetry: str, batch_s: float, events: int, value: Value
) -> tuple[Contender, Contender]:
    def contender(name: str, *arguments: str) -> Contender:
        def run() -> TimedRun:
            return TimedRun(events, contest.run(MODULE, str(batch_s), *arguments, records=events, value=value).seconds)

        return Contender(name, run)

    return contender("no telemetry"), contender("every record traced, metrics by OTLP and scraped", telemetry)


@contextmanager
def _sink() -> Iterator[str]:
    """Take what telemetry sends; yields what the service is told of it."""
    port, metrics_port = free_port(), free_port()
    with running("telemetry_sink", str(port), str(metrics_port)):
        yield f"http://127.0.0.1:{port},{metrics_port}"
