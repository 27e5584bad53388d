"""`python -m testing.chaos.worker SETTINGS_JSON`: the service's own processor around a trivial handler."""

import asyncio
import random
import signal
import sys

import uvloop

from service.core.records import OutgoingRecord
from service.delivery.handler import Job
from service.delivery.processor import Processor
from service.settings.settings import Settings
from service.telemetry.logs import configure_logging
from testing.chaos.workload import MAX_HANDLER_S, Judge


class ChaosHandler:
    """Takes as long as the workload says and ends as the record's number says."""

    def __init__(self, settings: Settings) -> None:
        self._judge = Judge(settings.topics)
        self._random = random.Random()

    async def __call__(self, job: Job) -> tuple[OutgoingRecord, ...]:
        """Judge one record."""
        await asyncio.sleep(self._random.uniform(0, MAX_HANDLER_S))
        return self._judge.outcomes(job.record)


async def work(settings: Settings) -> None:
    """Process until SIGTERM."""
    processor = Processor(settings, ChaosHandler(settings))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, processor.drain)
    await processor.run()


if __name__ == "__main__":
    chosen = Settings.model_validate_json(sys.argv[1])
    configure_logging(chosen.telemetry)
    uvloop.run(work(chosen))
