"""A real Prometheus that scrapes the services of a test, and its API."""

import math
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from testing.kafka import free_port

JOB = "modstream"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

Series = tuple[Mapping[str, str], tuple[float, ...]]
"""Labels, and a value for each step; NaN where there is none."""


class Prometheus:
    """One running server."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def is_ready(self) -> bool:
        """Return whether it takes questions."""
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.url}/-/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def range(self, expr: str, *, begin_s: float, end_s: float, step_s: float = 1.0) -> list[Series]:
        """Return what an expression was between two moments."""
        asked = {"query": expr, "start": f"{begin_s:.3f}", "end": f"{end_s:.3f}", "step": f"{step_s:g}"}
        found = await self._ask("query_range", asked)
        steps = int((end_s - begin_s) / step_s) + 1
        return [(each["metric"], _at_each_step(each["values"], begin_s, step_s, steps)) for each in found["result"]]

    async def now(self, expr: str) -> list[tuple[Mapping[str, str], float]]:
        """Return what an expression is."""
        found = await self._ask("query", {"query": expr})
        return [(sample["metric"], float(sample["value"][1])) for sample in found["result"]]

    async def rules(self) -> list[Mapping[str, Any]]:
        """Return every rule with its health."""
        return [rule for group in (await self._ask("rules", {}))["groups"] for rule in group["rules"]]

    async def alerts(self) -> Mapping[str, set[str]]:
        """Return the states in which each alert is for some labels: pending, firing."""
        found: dict[str, set[str]] = {}
        for alert in (await self._ask("alerts", {}))["alerts"]:
            found.setdefault(alert["labels"]["alertname"], set()).add(alert["state"])
        return found

    async def _ask(self, what: str, asked: Mapping[str, str]) -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}/api/v1/{what}", params=asked) as answer,
        ):
            reported = await answer.json()
        assert reported["status"] == "success", (asked, reported)
        return reported["data"]


def _at_each_step(values: Sequence[tuple[float, str]], begin_s: float, step_s: float, steps: int) -> tuple[float, ...]:
    known = {round((at_s - begin_s) / step_s): float(value) for at_s, value in values}
    return tuple(known.get(step, math.nan) for step in range(steps))


@dataclass(frozen=True, slots=True)
class Clock:
    """How much faster than in production time passes for rules: alerts wait for minutes, tests do not."""

    factor: float

    def rules(self, text: str) -> str:
        """Shorten every stretch of time in rules; thresholds stay."""
        text = re.sub(r"\[(\w+)\]", lambda found: f"[{self._shorter(found[1])}]", text)
        return re.sub(
            r"\b(offset|for:|interval:) (\d+[smhd])\b", lambda found: f"{found[1]} {self._shorter(found[2])}", text
        )

    def _shorter(self, duration: str) -> str:
        number, unit = re.fullmatch(r"(\d+)([smhd])", duration).groups()  # type: ignore[union-attr]  # our own rules
        return f"{round(int(number) * SECONDS[unit] / self.factor * 1000)}ms"


@contextmanager
def running_prometheus(folder: Path, ports: Sequence[int], *, rules: str = "") -> Iterator[Prometheus]:
    """Start a server that scrapes these ports of this machine every second."""
    (folder / "rules.yaml").write_text(rules or "groups: []\n")
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": JOB, "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}]}],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (
        (folder / "prometheus.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
    ):
        try:
            yield Prometheus(f"http://127.0.0.1:{port}")
        finally:
            process.kill()
