"""What this machine cannot test is a skip that names its reason, and an error when REQUIRE_ALL=1."""

import functools
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Sequence

import hypothesis
import pytest

# Machines are shared: a busy moment is no fault of what is tested, and what hangs meets pytest's own time limit.
hypothesis.settings.register_profile("modstream", deadline=None)
hypothesis.settings.load_profile("modstream")

# The executable that shows that a tool is there.
TOOL_COMMANDS = {
    "asyncapi": "asyncapi-check",
    "checkov": "checkov",
    "hadolint": "hadolint",
    "helm": "helm",
    "kubeconform": "kubeconform",
    "otelcol": "otelcol",
    "prometheus": "promtool",
    "seaweedfs": "weed",
    "zipkin": "zipkin",
}


@functools.cache
def missing_docker() -> str | None:
    """Say why no container can be started, or None."""
    if shutil.which("docker") is None:
        return "needs a Docker engine: no docker command found"
    answer = subprocess.run(["docker", "info"], capture_output=True, check=False)
    return None if answer.returncode == 0 else "needs a Docker engine: none answers"


def missing_tool(name: str) -> str | None:
    """Say which tool is missing, or None."""
    command = TOOL_COMMANDS[name]
    return None if shutil.which(command) else f"needs {name}: no {command} on the PATH"


def missing_engine() -> str | None:
    """Say that vLLM is missing, or None."""
    if importlib.util.find_spec("vllm") is None:
        return "needs vLLM, which `make install` brings where it runs on a CPU (Linux on x86-64 or ARM)"
    return None


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Share the tests out by file between the processes of a parallel run, what takes longest first.

    Tests of one group run in one process: fixtures of a module or of a session are made once for them.
    """
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group_of(item)))
    items.sort(key=_kind)  # stable: within a kind the order stays


def _group_of(item: pytest.Item) -> str:
    """Return the file, or for tests of vLLM one group for all: an engine takes 5 GB, and several share a server."""
    return "vllm" if _kind(item) == 0 else item.nodeid.partition("::")[0]


def _kind(item: pytest.Item) -> int:
    """Return 0 for tests that start vLLM, which takes longest, 1 for those that start containers, 2 for all others."""
    kinds: Sequence[str] = ("engine", "docker")
    return next((number for number, name in enumerate(kinds) if item.get_closest_marker(name)), len(kinds))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or fail under REQUIRE_ALL=1, what cannot run here."""
    missing = [missing_tool(marker.args[0]) for marker in item.iter_markers("tool")]
    if item.get_closest_marker("docker"):
        missing.append(missing_docker())
    if item.get_closest_marker("engine"):
        missing.append(missing_engine())
    for reason in filter(None, missing):
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(f"REQUIRE_ALL=1, but the test {reason}", pytrace=False)
        pytest.skip(reason)
