"""What tests and benchmarks need beyond Python packages, and whether this machine has it."""

import functools
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

# The executable that shows that a tool is there.
TOOL_COMMANDS = {
    "asyncapi": "asyncapi-check",
    "checkov": "checkov",
    "chromium": "chromium",
    "hadolint": "hadolint",
    "helm": "helm",
    "kubeconform": "kubeconform",
    "npm": "npm",
    "otelcol": "otelcol",
    "postgresql": "initdb",
    "prometheus": "promtool",
    "seaweedfs": "weed",
    "zipkin": "zipkin",
}


# Debian keeps the programs of PostgreSQL's server off the PATH.
BESIDE_THE_PATH = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")))


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
    return None if tool_path(command) else f"needs {name}: no {command} on the PATH"


def tool_path(command: str) -> str | None:
    """Return where a tool's executable is; None if it is missing."""
    return shutil.which(command) or shutil.which(command, path=os.pathsep.join(BESIDE_THE_PATH))


def missing_engine() -> str | None:
    """Say that vLLM is missing, or None."""
    if importlib.util.find_spec("vllm") is None:
        return "needs vLLM, which `make install` brings where it runs on a CPU (Linux on x86-64 or ARM)"
    return None
