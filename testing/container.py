"""The service's image as it is built here, and a container of it that may do as little as in production."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
IMAGE = "modstream:cpu"

CONFINED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs=/tmp")
"""How the image is promised to run."""


def docker(*arguments: str) -> str:
    """Run docker and return what it prints."""
    answer = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout.strip()


def build_image() -> None:
    """Build the image; a second time costs a second, as every step is cached."""
    answer = subprocess.run(["make", "image"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


class ServiceContainer:
    """One running container of the service."""

    def __init__(self, name: str) -> None:
        self.name = name

    def state(self) -> dict[str, Any]:
        """Return what docker knows of it."""
        state: dict[str, Any] = json.loads(docker("inspect", "--format", "{{json .State}}", self.name))
        return state

    def is_healthy(self) -> bool:
        """Return what the health check of the image says."""
        return bool(self.state()["Health"]["Status"] == "healthy")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside."""
        return subprocess.run(["docker", "exec", self.name, *command], capture_output=True, text=True, check=False)

    def stop(self) -> int:
        """Send SIGTERM, wait, and return the exit code."""
        docker("stop", "--time=60", self.name)
        code: int = self.state()["ExitCode"]
        return code

    def logs(self) -> str:
        """Return what it has logged."""
        answer = subprocess.run(["docker", "logs", self.name], capture_output=True, text=True, check=False)
        return answer.stdout + answer.stderr


@contextmanager
def service_container(environment: Mapping[str, str]) -> Iterator[ServiceContainer]:
    """Run the service on this machine's network until the block ends."""
    variables = [f"--env={name}={value}" for name, value in environment.items()]
    name = docker("run", "--detach", "--network=host", "--health-interval=1s", *CONFINED, *variables, IMAGE)
    try:
        yield ServiceContainer(name)
    finally:
        docker("rm", "--force", "--volumes", name)
