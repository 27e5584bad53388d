"""What telemetry costs: every record traced, all metrics by OTLP and scraped, against none of it.

Once as the service runs, with photographs by HTTP and an engine that is paced like a GPU; and once with nothing to wait
for, where every microsecond is throughput. A process of its own stands for the collector and for Prometheus.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from benchmarks.contest import Value, running_contest
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
EVERY_RECORD = "every record traced, metrics by OTLP and scraped"
NO_RECORD = "no record sampled, metrics by OTLP and scraped"
# Of the events a second without telemetry.
PACED_RATIO, UNPACED_RATIO, UNSAMPLED_RATIO = 0.95, 0.75, 0.95


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Compare the service with and without telemetry."""
    with running_contest() as contest, photo_server() as address, _sink() as sink:
        photographs = partial(by_reference, address)

        def service(name: str, batch_s: float, events: int, value: Value, *telemetry: str) -> Contender:
            def run() -> TimedRun:
                timed = contest.run(MODULE, str(batch_s), *telemetry, records=events, value=value)
                return TimedRun(events, timed.seconds)

            return Contender(name, run)

        def comparison(title: str, name: str, ratio: int, promised: float, *, is_paced: bool) -> Comparison:
            chosen = (PACE.batch_s, PACED_EVENTS, photographs) if is_paced else (0.0, INLINE_EVENTS, upload)
            return Comparison(
                title,
                (service("no telemetry", *chosen), service(name, *chosen, f"{sink},{ratio}")),
                unit="images/s" if is_paced else "events/s",
                target_ratio=promised,
                rounds=ROUNDS,
                warm_ups=0,
                quick=not is_paced,
            )

        paced = f"photographs by HTTP, batches of {PACE.batch_size} in {PACE.batch_s * 1000:.0f} ms"
        unpaced = "inline images of 10 KB, engine that answers at once"
        yield (
            comparison(paced, EVERY_RECORD, 1, PACED_RATIO, is_paced=True),
            comparison(unpaced, EVERY_RECORD, 1, UNPACED_RATIO, is_paced=False),
            comparison(unpaced, NO_RECORD, 0, UNSAMPLED_RATIO, is_paced=False),
        )


@contextmanager
def _sink() -> Iterator[str]:
    """Take what telemetry sends; yields the settings of the service for it."""
    port, metrics_port = free_port(), free_port()
    with running("telemetry_sink", str(port), str(metrics_port)):
        yield f"http://127.0.0.1:{port},{metrics_port}"
