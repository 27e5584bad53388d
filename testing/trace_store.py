"""The collector as it is deployed, with a Zipkin behind it, each in a process of its own."""

import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

import aiohttp
import yaml

from testing.kafka import LIGHT_JAVA
from testing.waiting import wait_until

CONFIG = Path(__file__).parents[1] / "deploy" / "collector" / "config.yaml"

# Java takes 7 s on an idle machine.
START_S = 120.0


@dataclass(frozen=True, slots=True)
class TraceStore:
    """Where spans go in, and traces come out."""

    otlp: str
    zipkin: str
    metrics: str
    session: aiohttp.ClientSession

    async def trace(self, trace_id: str) -> Sequence[Mapping[str, Any]]:
        """Return a trace's spans as Zipkin has them; none if it has no such trace."""
        async with self.session.get(f"{self.zipkin}/api/v2/trace/{trace_id}") as answer:
            if answer.status == HTTPStatus.NOT_FOUND:
                return []
            spans: Sequence[Mapping[str, Any]] = await answer.json()
            return spans

    async def until(self, trace_id: str, name: str) -> Mapping[str, Mapping[str, Any]]:
        """Return a trace's spans by name once it has one of that name."""
        found: dict[str, Mapping[str, Any]] = {}

        async def has_come() -> bool:
            found.update({span["name"]: span for span in await self.trace(trace_id)})
            return name in found

        await wait_until(has_come, description=f"{name} is in the trace", every_s=0.5)
        return found

    async def counted(self, span: str) -> float:
        """Return how many spans of a name the collector has seen, whatever was kept of them."""
        async with self.session.get(self.metrics) as answer:
            lines = (await answer.text()).splitlines()
        counts = [line for line in lines if line.startswith("traces_span_metrics_calls_total{")]
        return sum(float(line.rpartition(" ")[2]) for line in counts if f'span_name="{span}"' in line)


@dataclass(frozen=True, slots=True)
class _Ports:
    """Where everything listens."""

    zipkin: int
    grpc: int
    http: int
    metrics: int
    health: int


@asynccontextmanager
async def running_trace_store(
    folder: Path, *, also_to: str, environment: Mapping[str, str]
) -> AsyncIterator[TraceStore]:
    """Run both; what the collector keeps goes to another OTLP/HTTP endpoint as well."""
    ports = _Ports(*(_free_port() for _ in range(5)))
    override = folder / "collector.yaml"
    override.write_text(yaml.safe_dump(_override(ports, also_to)), encoding="utf-8")
    command = ["otelcol", "--config", str(CONFIG), "--config", str(override)]
    with (
        (folder / "zipkin.log").open("wb") as zipkin_log,
        (folder / "otelcol.log").open("wb") as collector_log,
        _process(["zipkin"], zipkin_log, {"QUERY_PORT": str(ports.zipkin), "JAVA_TOOL_OPTIONS": LIGHT_JAVA}),
        _process(command, collector_log, environment),
    ):
        async with aiohttp.ClientSession() as session:
            zipkin = f"http://127.0.0.1:{ports.zipkin}"
            await _answers(session, f"{zipkin}/health")
            await _answers(session, f"http://127.0.0.1:{ports.health}/")
            metrics = f"http://127.0.0.1:{ports.metrics}/metrics"
            yield TraceStore(f"http://127.0.0.1:{ports.http}", zipkin, metrics, session)


def _override(ports: _Ports, also_to: str) -> Mapping[str, object]:
    """Return what a test changes: addresses, where traces go, and how soon it is decided about them."""
    return {
        "receivers": {
            "otlp": {
                "protocols": {
                    "grpc": {"endpoint": f"127.0.0.1:{ports.grpc}"},
                    "http": {"endpoint": f"127.0.0.1:{ports.http}"},
                }
            }
        },
        "processors": {"tail_sampling": {"decision_wait": "2s"}, "batch": {"timeout": "100ms"}},
        "connectors": {"span_metrics": {"metrics_flush_interval": "500ms"}},
        "exporters": {
            "zipkin": {"endpoint": f"http://127.0.0.1:{ports.zipkin}/api/v2/spans"},
            "otlp_http/test": {"endpoint": also_to},
            "prometheus": {"endpoint": f"127.0.0.1:{ports.metrics}"},
        },
        "extensions": {"health_check": {"endpoint": f"127.0.0.1:{ports.health}"}},
        "service": {
            # Every collector on a machine would want the same port for its own.
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"traces": {"exporters": ["zipkin", "otlp_http/test"]}},
        },
    }


@contextmanager
def _process(command: Sequence[str], log: BinaryIO, environment: Mapping[str, str]) -> Iterator[None]:
    with subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **environment}) as process:
        try:
            yield
        finally:
            process.kill()


async def _answers(session: aiohttp.ClientSession, url: str) -> None:
    async def is_well() -> bool:
        try:
            async with session.get(url) as answer:
                return answer.status == HTTPStatus.OK
        except aiohttp.ClientError:
            return False

    await wait_until(is_well, description=f"{url} answers", timeout_s=START_S, every_s=0.3)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
