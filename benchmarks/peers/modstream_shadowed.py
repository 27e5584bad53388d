"""`python -m benchmarks.peers.modstream_shadowed TASK BATCH_S FOLDER`: the service, the folder's policies on trial.

Its engine has that pace and gives every image the same scores, because a policy decides nothing about images without
scores. An empty FOLDER tries no policy.
"""

import sys
from dataclasses import replace
from pathlib import Path

import uvloop

from benchmarks.peers.measured import Meter, Task, parse_task
from benchmarks.peers.modstream_service import moderate
from service.core.instructions import ModelInstructions
from service.inference.engine import EngineDescription, EngineOutput, EngineRequest
from service.inference.rehearsal_engine import RehearsalEngine
from service.policy.taxonomy import NAMES
from service.settings.delivery import TopicSettings
from service.settings.engine import EngineSettings, RehearsalSettings
from service.settings.kafka import KafkaSettings
from service.settings.media import FetchSettings, MediaSettings
from service.settings.monitoring import MonitoringSettings, TelemetrySettings
from service.settings.settings import Settings
from service.settings.shadow import ShadowSettings
from service.telemetry.logs import configure_logging
from testing.kafka import free_port

# No category reaches a threshold, as for most images.
SCORES = EngineOutput(dict.fromkeys(NAMES, 0.01))


class ScoringEngine(RehearsalEngine):
    """Answers as a GPU would pace it, with scores."""

    def describe(self, instructions: ModelInstructions) -> EngineDescription:
        """Return the engine's description: it covers the taxonomy."""
        return replace(super().describe(instructions), covers=frozenset(NAMES))

    async def judge(self, request: EngineRequest) -> EngineOutput:
        """Answer when the request's batch ends."""
        await super().judge(request)
        return SCORES


async def work(task: Task, batch_s: float, folder: str) -> None:
    """Run until all events are committed, then drain."""
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers=task.address, group_id=task.group_id, on_lost_offsets="earliest"),
        topics=TopicSettings(uploads=task.source, verdicts=task.target),
        engine=EngineSettings(kind="rehearsal", rehearsal=RehearsalSettings(batch_s=batch_s)),
        media=MediaSettings(fetch=FetchSettings(allow_networks=("127.0.0.0/8",))),
        telemetry=TelemetrySettings(log_level="warning"),
        # Counters cost nothing without a reader, so there is one.
        monitoring=MonitoringSettings(port=free_port()),
        shadow=ShadowSettings(policies=Path(folder) if folder else None),
    )
    configure_logging(settings.telemetry)
    engine = ScoringEngine(settings.engine.rehearsal)
    try:
        await engine.start()
        await moderate(task, settings, engine, Meter(task))
    finally:
        await engine.stop()


if __name__ == "__main__":
    uvloop.run(work(parse_task(), float(sys.argv[2]), sys.argv[3]))
