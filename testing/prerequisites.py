"""What tests and benchmarks need beyond Python packages, and whether this machine has it."""

import functools
import importlib.util
import shutil
import subprocess

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
