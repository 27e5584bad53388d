"""One incident from the first image to the last alert, with pictures of what an operator sees."""

import asyncio
import io
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from service.cli.top_screen import screen
from service.tools.top.scrape import metrics_url
from service.tools.top.watch import watching
from testing.incidents.pictures import Window, picture
from testing.incidents.scenarios import PACE, Scenario, upload
from testing.observed import Observed, observing

ROWS = ("Is it healthy?", "Outcomes and waiting images", "What limits it", "Engine")
TOP_WIDTH = 110


def _p95(stage: str) -> str:
    buckets = f'modstream_stage_duration_seconds_bucket{{stage="{stage}"}}'
    return f"histogram_quantile(0.95, sum by (le) (rate({buckets}[10s])))"


# What is written down beside the pictures.
FACTS: Mapping[str, str] = {
    "finished a second": 'sum(rate(modstream_records_total{outcome=~"judged|dead_lettered"}[10s]))',
    "lag": "sum(modstream_lag)",
    "fetch p95 s": _p95("fetch"),
    "engine p95 s": _p95("engine"),
    "window full": 'max(modstream_window_occupancy{bound="records"})',
    "dead letters a second": 'sum(rate(modstream_records_total{outcome="dead_lettered"}[10s]))',
    "engine running": 'sum(modstream_engine_requests{state="running"})',
    "engine waiting": 'sum(modstream_engine_requests{state="waiting"})',
}


@dataclass(frozen=True)
class Lengths:
    """How long each part of the story takes."""

    calm_s: float = 25.0
    broken_s: float = 90.0
    mended_s: float = 45.0


async def run(
    scenario: Scenario, folder: Path, out: Path, say: Callable[[str], None], lengths: Lengths = Lengths()
) -> None:
    """Let it happen, and leave pictures in `out`."""
    async with observing(folder, upload=upload, pace=PACE, settings=scenario.settings) as observed:
        (port,) = observed.ports
        observed.start(port)
        await observed.ready(port)
        began_s = time.time()
        marks: dict[str, float] = {}
        await _pass(observed, lengths.calm_s, "calm", say)
        marks[scenario.breaks] = time.time() - began_s
        await scenario.break_it(observed)
        await _pass(observed, lengths.broken_s, scenario.breaks, say)
        await draw_top(observed, out / f"{scenario.name}-top.svg", f"modstream top: {scenario.title.lower()}")
        marks[scenario.mends] = time.time() - began_s
        await scenario.mend_it(observed)
        await _pass(observed, lengths.mended_s, scenario.mends, say)
        await _draw(observed, scenario, began_s, marks, out / f"{scenario.name}.png")


async def _pass(observed: Observed, seconds: float, name: str, say: Callable[[str], None]) -> None:
    """Let time pass, and print what Prometheus knows at the end of it."""
    await asyncio.sleep(seconds)
    facts = [f"{fact} {await _fact(observed, expr)}" for fact, expr in FACTS.items()]
    firing = sorted(alert for alert, states in (await observed.prometheus.alerts()).items() if "firing" in states)
    say(f"{name}: {', '.join(facts)}; firing: {', '.join(firing) or 'nothing'}")


async def _fact(observed: Observed, expr: str) -> str:
    found = await observed.prometheus.now(expr)
    return f"{found[0][1]:.3g}" if found else "–"


async def _draw(observed: Observed, scenario: Scenario, began_s: float, marks: Mapping[str, float], path: Path) -> None:
    window = Window(began_s, time.time(), stage=scenario.stage, marks=tuple(marks.values()))
    await picture("service", window, observed.prometheus, path, rows=ROWS)


async def draw_top(observed: Observed, path: Path, title: str) -> None:
    """Look twice, as `modstream top --once` does, and keep the frame."""
    looks = watching([metrics_url(f"127.0.0.1:{port}") for port in observed.ports], every_s=5.0)
    await anext(looks)
    console = Console(width=TOP_WIDTH, record=True, file=io.StringIO(), force_terminal=True)
    console.print(screen(await anext(looks)))
    await asyncio.to_thread(path.write_text, _without_fonts(console.export_svg(title=title)))


def _without_fonts(svg: str) -> str:
    """Remove Rich's font, which a viewer of the picture would fetch from another server."""
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
