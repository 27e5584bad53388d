"""The real service in a process of its own."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

EXIT_TIMEOUT_S = 40.0


class ServiceProcess:
    """One running `python -m service serve`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Return the exit code once the process has ended."""
        return self._process.wait(EXIT_TIMEOUT_S)

    def is_running(self) -> bool:
        """Return whether the process has not ended."""
        return self._process.poll() is None

    def log(self) -> str:
        """Return what it has logged."""
        return self._log.read_text(encoding="utf-8")


@contextmanager
def running_service(folder: Path, settings: Mapping[str, object]) -> Iterator[ServiceProcess]:
    """Start the service with settings from a file, and kill what is left of it afterwards.

    It has no endpoint unless the settings say so: several may run at once.
    """
    number = len(list(folder.glob("*.yaml")))
    config, log = folder / f"{number}.yaml", folder / f"{number}.log"
    config.write_text(yaml.safe_dump({"monitoring": {"port": 0}} | dict(settings)), encoding="utf-8")
    with (
        log.open("wb") as sink,
        subprocess.Popen(
            [sys.executable, "-m", "service", "serve", "--config", str(config)], stdout=sink, stderr=sink
        ) as process,
    ):
        try:
            yield ServiceProcess(process, log)
        finally:
            process.kill()
