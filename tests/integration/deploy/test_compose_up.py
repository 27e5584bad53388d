"""`docker compose up` on this machine: the parts whose images are here."""

import http.client
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import orjson
import pytest

from schemas.verdict import VerdictV1
from testing.container import ROOT
from testing.kafka import free_port
from testing.topics import committed_reader
from testing.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600), pytest.mark.usefixtures("image")]

# A photograph inside the image, which the demo judges too.
PHOTOGRAPH = "/opt/modstream/lib/python3.11/site-packages/service/tools/demo/photographs/cat.jpg"
HERE = ("kafka", "topics", "modstream")
KEYS = "/var/lib/modstream/keys.yaml"


class Stack:
    """The stack under a name and at ports of its own."""

    def __init__(self) -> None:
        self.kafka_port, self.monitoring_port, self.api_port = free_port(), free_port(), free_port()
        self._environment = os.environ | {
            "COMPOSE_PROJECT_NAME": f"modstream-test-{uuid4().hex[:8]}",
            "KAFKA_PORT": str(self.kafka_port),
            "MONITORING_PORTS": str(self.monitoring_port),
            "API_PORT": str(self.api_port),
        }

    def compose(self, *arguments: str) -> str:
        """Run docker compose."""
        answer = subprocess.run(
            ["docker", "compose", *arguments],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout


@pytest.fixture
def stack() -> Iterator[Stack]:
    """Start what can be started here, and remove it with its volumes."""
    stack = Stack()
    try:
        # Without building: what is started is the image that the other tests look at.
        stack.compose("up", "--no-build", "--wait", "--wait-timeout=180", *HERE)
        yield stack
    finally:
        # At once: what a drain is worth is another test's.
        stack.compose("down", "--volumes", "--timeout=0")


async def test_the_stack_comes_up_and_judges_what_is_sent(stack: Stack) -> None:
    stack.compose("exec", "-T", "modstream", "modstream", "send", PHOTOGRAPH)
    async with committed_reader(f"localhost:{stack.kafka_port}", ["images.verdicts"]) as reader:
        await reader.until(1)
    assert VerdictV1.model_validate(orjson.loads(reader.records[0].value)).decision == "allow"
    assert is_ready(stack)
    states = [orjson.loads(line) for line in stack.compose("ps", "--all", "--format=json").splitlines()]
    assert {state["Service"]: (state["State"], state["Health"]) for state in states} == {
        "kafka": ("running", "healthy"),
        "topics": ("exited", ""),
        "modstream": ("running", "healthy"),
    }


async def test_the_api_alone_answers_a_caller_with_a_key_that_was_made_by_command() -> None:
    stack = Stack()
    try:
        key = stack.compose("run", "--rm", "-T", "api", "keys", "create", "--file", KEYS).strip()
        stack.compose("up", "--no-build", "--wait", "--wait-timeout=60", "api")
        states = [orjson.loads(line) for line in stack.compose("ps", "--format=json").splitlines()]
        assert [(state["Service"], state["Health"]) for state in states] == [("api", "healthy")]
        # Healthy is a process that is alive; it listens once the engine has started.
        await wait_until(lambda: answers(stack), timeout_s=60, description="the API listens")
        assert status_of(stack, None) == 401
        assert status_of(stack, key) == 200
    finally:
        stack.compose("--profile=api", "down", "--volumes", "--timeout=60")


def status_of(stack: Stack, key: str | None) -> int:
    """Ask for the policies from outside the container."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(f"http://localhost:{stack.api_port}/v1/policies", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - an address of this machine
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def answers(stack: Stack) -> bool:
    """Return whether something listens behind the port, which Docker opens first."""
    try:
        return status_of(stack, None) > 0
    except (OSError, http.client.HTTPException):
        return False


def is_ready(stack: Stack) -> bool:
    """Ask the service from outside its container."""
    url = f"http://localhost:{stack.monitoring_port}/health/ready"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bool(orjson.loads(answer.read())["ready"])


def test_what_compose_mounts_is_there() -> None:
    mounted = {Path("deploy/compose/modstream.yaml"), Path("deploy/prometheus"), Path("deploy/grafana/provisioning")}
    assert {path for path in mounted if not (ROOT / path).exists()} == set()
