"""`python -m testing.stream_worker SETTINGS_JSON`: the processor around a handler that does what records say.

A record's value is JSON: `sleep_s` to take so long, `gate` to wait until that file exists, `fail` to fail as
`rejected`, `transient` or `fatal`, `mended` to do so no more once that file exists. The verdict's key is the record's,
its value names the process that judged it.
"""

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import MutableSequence
from pathlib import Path

import orjson

from service.core.errors import FatalError, RejectedError, TransientError
from service.core.records import OutgoingRecord
from service.delivery.handler import Job
from service.delivery.processor import Processor
from service.settings.settings import Settings
from service.telemetry.logs import configure_logging


class InstructedToRejectError(RejectedError):
    """The record says so."""

    reason = "test.rejected"
    message = "instructed to reject"


class InstructedToWaitError(TransientError):
    """The record says so."""

    reason = "test.transient"
    message = "instructed to fail for now"


class InstructedToStopError(FatalError):
    """The record says so."""

    reason = "test.fatal"
    message = "instructed to stop"


_FAILURES = {"rejected": InstructedToRejectError, "transient": InstructedToWaitError, "fatal": InstructedToStopError}


class ObedientHandler:
    """Does what records say, and remembers which it was given."""

    def __init__(
        self, topic: str, verdict: bytes = b"%d" % os.getpid(), *, jobs: MutableSequence[Job] | None = None
    ) -> None:
        self._topic = topic
        self._verdict = verdict
        self.jobs: MutableSequence[Job] = [] if jobs is None else jobs

    async def __call__(self, job: Job, /) -> tuple[OutgoingRecord, ...]:
        """Handle one record."""
        self.jobs.append(job)
        orders = orjson.loads(job.record.value or b"{}")
        await asyncio.sleep(orders.get("sleep_s", 0.0))
        while "gate" in orders and not Path(orders["gate"]).exists():  # noqa: ASYNC110, ASYNC240 - a file is no event
            await asyncio.sleep(0.02)
        is_mended = "mended" in orders and Path(orders["mended"]).exists()  # noqa: ASYNC240 - a look at a file is quick
        if (failure := _FAILURES.get(orders.get("fail"))) and not is_mended:
            raise failure
        return (OutgoingRecord(self._topic, job.record.key, self._verdict, ()),)


async def work(settings: Settings) -> None:
    """Process until SIGTERM."""
    processor = Processor(settings, ObedientHandler(settings.topics.verdicts, jobs=deque(maxlen=0)))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, processor.drain)
    await processor.run()


if __name__ == "__main__":
    chosen = Settings.model_validate_json(sys.argv[1])
    configure_logging(chosen.telemetry)
    asyncio.run(work(chosen))
