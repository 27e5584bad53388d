"""Every query of every dashboard and rule, asked of a Prometheus that reads the real service under load on Kafka."""

import asyncio
import json
import math
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from typer.testing import CliRunner

from deploy.grafana.__main__ import DASHBOARDS
from deploy.grafana.reading import concrete, read_board
from service.cli.commands import app
from testing.feed import Upload
from testing.image_host import ImageHost
from testing.observed import RULES, Observed, by_url, observing
from testing.prometheus import Prometheus
from testing.waiting import wait_until

pytestmark = [
    pytest.mark.docker,
    pytest.mark.tool("prometheus"),
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
]

PACE = 30.0
# Ten scrapes: what Grafana would take for an interval of 2.5 s.
RATE_INTERVAL = "10s"

# What cannot have data here. Such queries are still asked, so they are known to be understood.
ABSENT = {
    "modstream_gpu_": "no GPU here",
    "modstream_engine_tokens": "the rehearsal engine is no language model",
    "modstream_engine_label_mass": "the rehearsal engine is no language model",
    "modstream_api_": "the HTTP API is off here",
    "modstream_first_pass_": "no policy has a first pass here",
    "modstream_shadow_": "nothing is on trial here",
    "modstream_audits_": "no image is audited here",
    'result="failed"': "every commit succeeds here",
    " offset ": "this Prometheus has no last week",
}

SELECTOR = re.compile(r'(?<![\w:"])((?:modstream_|job)\w*(?::\w+)*)(\{[^}]*\})?')


@dataclass(frozen=True)
class Seen:
    """A Prometheus that has read the service for a while, and for how long."""

    observed: Observed
    end_s: float

    @property
    def prometheus(self) -> Prometheus:
        return self.observed.prometheus

    async def has_data(self, expr: str) -> bool:
        """Return whether an expression was a number at any moment."""
        found = await self.prometheus.range(expr, begin_s=self.observed.began_at_s, end_s=self.end_s)
        return any(math.isfinite(value) for _, values in found for value in values)


def mixed(images: ImageHost, number: int) -> Upload:
    """Return mostly what can be judged; some records of each kind that cannot."""
    if number % 20 == 0:
        return f"{number}".encode(), b"no event"
    if number % 20 == 1:
        return by_url(images, number, path="missing")
    if number % 20 == 2:
        return by_url(images, number, path="refused")
    return by_url(images, number)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seen]:
    """Run two processes, the second one later so that partitions move, until all kinds of outcomes were seen."""
    folder = tmp_path_factory.mktemp("observed")
    async with observing(folder, upload=mixed, pace=PACE, processes=2) as observed:
        one, other = observed.ports
        observed.start(one)
        await observed.ready(one)
        observed.start(other)
        await observed.until('sum(increase(modstream_records_total{outcome="judged"}[1m])) > 100')
        await observed.until(
            'sum(increase(modstream_records_total{reason="fetch.failed", outcome="dead_lettered"}[1m])) > 0'
        )
        await observed.until("sum(modstream_rebalance_pause_seconds_count) > 0")
        await observed.until("job:modstream_verdicts_late:ratio_rate3d >= 0")
        # One step more: the last scrape may lie behind the last whole one.
        yield Seen(observed, time.time() + 1)


def is_absent(expr: str) -> bool:
    return any(part in expr for part in ABSENT)


@pytest.mark.parametrize("path", sorted(DASHBOARDS.glob("*.json")), ids=lambda path: path.stem)
async def test_every_query_of_every_panel_has_data(seen: Seen, path: Path) -> None:
    silent = [
        (panel.title, expr)
        for panel in read_board(path)
        for query in panel.queries
        if not await seen.has_data(expr := concrete(query.expr, rate_interval=RATE_INTERVAL)) and not is_absent(expr)
    ]
    assert silent == []


async def test_every_recording_rule_records(seen: Seen) -> None:
    rules = await seen.prometheus.rules()
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
    records = [rule["name"] for rule in rules if rule["type"] == "recording"]
    assert [name for name in records if not await seen.has_data(name)] == []


async def test_every_series_that_an_alert_looks_at_is_there(seen: Seen) -> None:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    alerts = {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"] if "alert" in rule}
    looked_at = {
        (alert, f"{name}{matchers}")
        for alert, expr in alerts.items()
        for name, matchers in SELECTOR.findall(re.sub(r"\b(?:by|on|group_left) \([^)]*\)", "", expr))
        if name != "job"
    }
    assert {alert for alert, _ in looked_at} == set(alerts)
    assert [each for each in looked_at if not await seen.has_data(each[1]) and not is_absent(each[1])] == []


async def test_top_shows_both_processes(seen: Seen) -> None:
    arguments = [part for port in seen.observed.ports for part in ("--url", f"127.0.0.1:{port}")]
    reported: dict[str, Any] = {}  # a JSON document, as a script would read it

    async def all_are_open() -> bool:
        result = await asyncio.to_thread(
            CliRunner().invoke, app, ["top", "--once", "--json", "--interval", "1", *arguments]
        )
        reported.update(json.loads(result.stdout))
        is_ready = [process["is_ready"] for process in reported["processes"]]
        return is_ready == [True, True] and {each["partition"] for each in reported["partitions"]} == {0, 1, 2, 3}

    # On a busy machine the group may be sharing the partitions out anew at any moment.
    await wait_until(all_are_open, description="both processes show their partitions")
    assert reported["a_second"]["judged"] > 0
    assert {"fetch", "decode", "engine"} <= {stage["stage"] for stage in reported["stages"]}
    assert "fetch.failed" in {reason["reason"] for reason in reported["reasons"]}


async def test_a_service_that_is_gone_is_reported_until_it_is_back(seen: Seen) -> None:
    async def fires() -> bool:
        return "firing" in (await seen.prometheus.alerts()).get("ModstreamGone", set())

    async def is_over() -> bool:
        return "ModstreamGone" not in await seen.prometheus.alerts()

    await wait_until(is_over, description="no process is missed while both run")
    seen.observed.kill_all()
    await wait_until(fires, description="the service is missed", every_s=0.25)
    one = seen.observed.ports[0]
    seen.observed.start(one)
    await seen.observed.ready(one)
    await wait_until(is_over, description="the alert is over", every_s=0.25)
