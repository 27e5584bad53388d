"""What policies on trial cost: the service with none, one and ten, each deciding on the scores of every verdict.

Once as the service runs, with photographs by HTTP and an engine that is paced like a GPU; and once with nothing to wait
for, where every microsecond is throughput.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import yaml

from benchmarks.contest import Value, running_contest
from benchmarks.photographs import by_reference, photo_server
from benchmarks.runner import Comparison, Contender, TimedRun
from benchmarks.service import upload
from service.policy.policy_files import policy_paths
from service.settings.engine import RehearsalSettings

MODULE = "benchmarks.peers.modstream_shadowed"
PACE = RehearsalSettings()
# Half a minute a round.
PACED_EVENTS = 80 * PACE.batch_size
INLINE_EVENTS = 4000
ROUNDS = 5
POLICIES = (1, 10)
# Of the images a second without a policy on trial.
RATIO = 0.98


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Compare the service with and without policies on trial."""
    with running_contest() as contest, photo_server() as address, _folders() as folders:

        def comparison(title: str, batch_s: float, events: int, value: Value, *, quick: bool) -> Comparison:
            def contender(name: str, folder: str) -> Contender:
                def run() -> TimedRun:
                    timed = contest.run(MODULE, str(batch_s), folder, records=events, value=value)
                    return TimedRun(events, timed.seconds)

                return Contender(name, run)

            tried = (contender(f"{count} on trial", folder) for count, folder in folders.items())
            return Comparison(
                title,
                (contender("no policy on trial", ""), *tried),
                unit="images/s",
                target_ratio=RATIO,
                rounds=ROUNDS,
                warm_ups=0,
                quick=quick,
            )

        paced = f"photographs by HTTP, batches of {PACE.batch_size} in {PACE.batch_s * 1000:.0f} ms"
        yield (
            comparison(paced, PACE.batch_s, PACED_EVENTS, partial(by_reference, address), quick=False),
            comparison("inline images, engine that answers at once", 0.0, INLINE_EVENTS, upload, quick=True),
        )


@contextmanager
def _folders() -> Iterator[dict[int, str]]:
    """Yield folders of policies by their number: versions of the bundled one."""
    (bundled,) = policy_paths(None)
    policy = yaml.safe_load(bundled.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as top:
        for count in POLICIES:
            folder = Path(top, str(count))
            folder.mkdir()
            for number in range(count):
                text = yaml.safe_dump(policy | {"version": f"trial-{number}"})
                folder.joinpath(f"{number}.yaml").write_text(text, encoding="utf-8")
        yield {count: str(Path(top, str(count))) for count in POLICIES}
