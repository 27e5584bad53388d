"""What `modstream top` shows: figures as tables and gauges."""

import math
from collections.abc import Iterable

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from service.tools.top.figures import ApiFigures, Figures, GpuFigures, PartitionFigures, ProcessFigures

# More would push the errors from a small terminal.
PARTITIONS_SHOWN = 8
REASONS_SHOWN = 8
ROUTES_SHOWN = 8
GAUGE_WIDTH = 24

# From here on a bound of the window is what holds records back.
FULL = 0.95
# The service level: a verdict within 30 s of upload.
LATE_S = 30.0
HOT_C = 85.0
GIB = 1024**3


def screen(seen: Figures) -> RenderableType:
    """Return one frame."""
    halves = Table.grid(expand=True, padding=(0, 1))
    halves.add_column(ratio=1)
    halves.add_column(ratio=1)
    if _has_stream(seen):
        halves.add_row(_box("Lag by partition", _partitions(seen)), _box("Window", _window(seen)))
    halves.add_row(_box("Stages", _stages(seen)), _box("Engine", _engine(seen)))
    api = [_box("HTTP API", _api(seen.api, is_alone=not _has_stream(seen)))] if seen.api else []
    errors = _box("What goes wrong, a second", _reasons(seen))
    return Group(_head(seen), *api, halves, errors, *_processes(seen))


def _has_stream(seen: Figures) -> bool:
    """Return whether a process reads records, as far as is known."""
    return not seen.processes or any(each.partitions is not None for each in seen.processes)


def _head(seen: Figures) -> RenderableType:
    facts = _stream_facts(seen) if _has_stream(seen) or seen.api is None else _api_facts(seen.api)
    over = f"over {seen.over_s:.0f} s" if seen.over_s else "first scrape"
    return _box(f"modstream · {len(seen.processes)} of {len(seen.processes) + len(seen.unreadable)} · {over}", facts)


def _api_facts(api: ApiFigures) -> RenderableType:
    facts = Table.grid(padding=(0, 3))
    facts.add_row(
        Text.assemble((f"{api.a_second:.1f}", "bold"), " requests/s"),
        Text.assemble((f"{api.failed:.1f}", "red bold" if api.failed else "bold"), " failed/s"),
        Text.assemble((f"{api.refused:.1f}", "yellow bold" if api.refused else "bold"), " refused (429)/s"),
        Text.assemble((f"{api.running}", "bold"), " images in work"),
        Text.assemble((f"{api.waiting}", "bold"), " waiting"),
    )
    return facts


def _api(api: ApiFigures, *, is_alone: bool) -> RenderableType:
    table = _table("route", "a second>", "p50>", "p99>")
    for each in api.routes[:ROUTES_SHOWN]:
        table.add_row(each.route, f"{each.a_second:.1f}", duration(each.p50_s), duration(each.p99_s))
    routes = table if api.routes else Text("no request yet", style="dim")
    return routes if is_alone else Group(_api_facts(api), routes)


def _stream_facts(seen: Figures) -> RenderableType:
    finished = seen.a_second.get("judged", 0.0) + seen.a_second.get("dead_lettered", 0.0)
    left = f"{duration(seen.lag / finished)} of work" if finished and seen.lag else ""
    facts = Table.grid(padding=(0, 3))
    facts.add_row(
        Text.assemble((f"{finished:.1f}", "bold"), " images/s"),
        Text.assemble((f"{seen.a_second.get('put_off', 0.0):.1f}", "bold"), " deferred/s"),
        Text.assemble((f"{seen.a_second.get('dead_lettered', 0.0):.1f}", "bold"), " dead/s"),
        Text.assemble("lag ", (f"{seen.lag:,}", "bold"), f"  {left}"),
        Text.assemble("oldest ", (duration(seen.oldest_age_s), "red bold" if seen.oldest_age_s > LATE_S else "bold")),
    )
    return facts


def _partitions(seen: Figures) -> RenderableType:
    table = _table("topic", "", "lag>", "unread>", "offset>")
    for each in seen.partitions[:PARTITIONS_SHOWN]:
        table.add_row(*_partition(each))
    rest = seen.partitions[PARTITIONS_SHOWN:]
    if rest:
        table.add_row(f"{len(rest)} more", "", f"{sum(each.lag for each in rest):,}")
    return table if seen.partitions else Text("no partition", style="yellow")


def _partition(each: PartitionFigures) -> Iterable[str]:
    return each.topic, str(each.partition), f"{each.lag:,}", f"{each.on_broker:,}", f"{each.committed_lag:,}"


def _window(seen: Figures) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for bound, share in sorted(seen.occupancy.items()):
        style = "red" if share >= FULL else "green"
        gauge = ProgressBar(total=1.0, completed=share, width=GAUGE_WIDTH, complete_style=style, finished_style=style)
        table.add_row(bound, gauge, Text(f"{share:.0%}", style=style))
    table.add_row("in flight", Text(f"{seen.in_flight:,}"))
    return table


def _stages(seen: Figures) -> RenderableType:
    table = _table("", "a second>", "p50>", "p99>")
    for each in seen.stages:
        table.add_row(each.stage, f"{each.a_second:.1f}", duration(each.p50_s), duration(each.p99_s))
    return table if seen.stages else Text("nothing yet", style="dim")


def _engine(seen: Figures) -> RenderableType:
    engine = seen.engine
    table = Table.grid(padding=(0, 2))
    table.add_row("running", f"{engine.running:,}")
    table.add_row("waiting", f"{engine.waiting:,}")
    for kind, rate in sorted(engine.tokens_a_second.items()):
        table.add_row(f"{kind} tokens/s", f"{rate:,.0f}")
    table.add_row("decoders", f"{engine.decode_workers}, {engine.decode_queue} images wait")
    for gpu in seen.gpus:
        table.add_row(f"gpu {gpu.gpu}", _gpu(gpu))
    return table


def _gpu(gpu: GpuFigures) -> Text:
    memory = f"{gpu.memory_used_bytes / GIB:.0f} of {gpu.memory_total_bytes / GIB:.0f} GiB"
    hot = "red" if gpu.temperature_c > HOT_C else ""
    return Text.assemble(f"{gpu.utilization:.0%}, {memory}, ", (f"{gpu.temperature_c:.0f} °C", hot))


def _reasons(seen: Figures) -> RenderableType:
    requests = ["failed requests>"] if seen.api else []
    table = _table("reason", "failed attempts>", "deferred>", "dead letters>", *requests)
    for each in seen.reasons[:REASONS_SHOWN]:
        counts = (each.failed_attempts, each.put_off, each.dead_letters, *([each.failed_requests] if seen.api else []))
        table.add_row(each.reason, *map(_rate, counts))
    return table if seen.reasons else Text("nothing", style="green")


def _processes(seen: Figures) -> Iterable[RenderableType]:
    if seen.processes:
        yield Columns([_process(each) for each in seen.processes], padding=(0, 3))
    for url, why in seen.unreadable.items():
        yield Text(f"✗ {url}: {why}", style="red")


def _process(each: ProcessFigures) -> Text:
    state = ("● ready", "green") if each.is_ready else ("● not ready", "yellow")
    serves = "HTTP API" if each.partitions is None else f"{each.partitions} partitions"
    facts = (each.version, each.engine, each.model, serves)
    return Text.assemble(state, f" {each.url}  {', '.join(dict.fromkeys(filter(None, facts)))}")


def duration(seconds: float) -> str:
    """Return a time with as many digits as a reader needs."""
    if math.isnan(seconds):
        return "–"
    for limit, factor, unit in ((0.001, 1e6, "µs"), (1, 1e3, "ms"), (120, 1, "s"), (7200, 1 / 60, "min")):
        if seconds < limit:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds / 3600:.3g} h"


def _rate(value: float) -> Text:
    return Text(f"{value:.2f}", style="bold" if value else "dim")


def _table(*columns: str) -> Table:
    """Return an empty table; a column whose name ends with > holds numbers."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in columns:
        table.add_column(name.removesuffix(">"), justify="right" if name.endswith(">") else "left")
    return table


def _box(title: str, inside: RenderableType) -> Panel:
    return Panel(inside, title=title, title_align="left", border_style="dim")
