"""`modstream api` as the demo runs it: on a free port of this machine, with a key of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from service.api.callers.api_keys import new_key
from service.api.callers.keys_editing import add_key
from service.tools.demo.processes import DemoFailedError, free_port, is_listening, service_process

START_TIMEOUT_S = 60.0
"""Longer than the embedded engine takes to load on a busy machine."""


@dataclass(frozen=True, slots=True)
class DemoApi:
    """The API while it answers."""

    url: str
    key: str
    log: Path
    process: asyncio.subprocess.Process

    @property
    def page_url(self) -> str:
        """The page to try the API, with the key."""
        return f"{self.url}/#key={self.key}"


@asynccontextmanager
async def demo_api(folder: Path) -> AsyncIterator[DemoApi]:
    """Run the API until the block ends; its settings, keys and log are in `folder`.

    Raises `DemoFailedError` if it does not start.
    """
    key, keys_file, port = new_key(), folder / "keys.yaml", free_port()
    add_key(keys_file, key.entry)
    config, log = folder / "modstream.yaml", folder / "service.log"
    document = {
        "api": {"port": port, "keys_file": str(keys_file.resolve())},
        # For reading the log after a failure.
        "telemetry": {"log_format": "console"},
        "shutdown": {"drain_s": 10.0},
        # Two demos may run at once, and beside a service of one's own.
        "monitoring": {"port": 0},
    }
    config.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
    async with service_process(config, log, command="api") as process:
        if not await is_listening(port, process, timeout_s=START_TIMEOUT_S):
            raise DemoFailedError(f"the service did not start; its log is {log}")
        yield DemoApi(f"http://127.0.0.1:{port}", key.text, log, process)
