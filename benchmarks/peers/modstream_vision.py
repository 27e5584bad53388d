"""`python -m benchmarks.peers.modstream_vision TASK SETTINGS`: the whole service with vLLM in its process."""

import json
import sys

import uvloop

from benchmarks.peers.measured import Meter, Task, parse_task
from benchmarks.peers.modstream_service import moderate
from service.inference.factory import build_engine
from service.settings.settings import Settings
from service.telemetry.logs import configure_logging


async def work(task: Task, chosen: dict[str, object]) -> None:
    """Load the model, then run until all events are committed."""
    settings = Settings.model_validate(
        {
            "kafka": {"bootstrap_servers": task.address, "group_id": task.group_id},
            "topics": {"uploads": task.source, "verdicts": task.target},
            "telemetry": {"log_level": "warning"},
            "monitoring": {"port": 0},
            **chosen,
        }
    )
    configure_logging(settings.telemetry)
    engine = build_engine(settings.engine)
    try:
        await engine.start()
        await moderate(task, settings, engine, Meter(task))
    finally:
        await engine.stop()


if __name__ == "__main__":
    uvloop.run(work(parse_task(), json.loads(sys.argv[2])))
