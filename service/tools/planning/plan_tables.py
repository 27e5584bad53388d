"""Plans for GPUs in a terminal."""

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table

from service.tools.planning.advice import card_remarks, feeding_assumptions, plan_assumptions
from service.tools.planning.cpu_sizing import fed_by, feed
from service.tools.planning.gpus import Gpu
from service.tools.planning.models import short_name
from service.tools.planning.overview import rate, with_tags_per_s
from service.tools.planning.plan import GpuPlan, PrecisionPlan
from service.tools.planning.sources import Source, plan_sources


def print_plan(
    console: Console, plan: GpuPlan, settings: str, models: Table, *, cores: int | None, command: str = ""
) -> None:
    """Print one card's plan, its settings ready to be copied; `command` starts a server of its own."""
    console.print(f"[bold]{plan.model.name} on {plan.gpu.name}[/]: {_card(plan.gpu)}")
    console.print(Padding(_precision_table(plan), (1, 0), expand=False))
    for line in _advice(plan):
        console.print(line)
    console.print("\n[bold]Models on this card[/], always busy")
    console.print(models)
    if plan.take is not None:
        if command:
            console.print("\n[bold]On the GPU machine[/]")
            _print_code(console, command, "bash")
        console.print("\n[bold]Settings[/] (for the file that serve --config names)")
        _print_code(console, settings, "yaml")
        console.print("[bold]CPU cores[/]")
        console.print(bullets(_feeding(plan.take, cores)))
    console.print("\n[bold]Assumptions[/]")
    console.print(bullets(plan_assumptions(plan)))
    console.print("\n[bold]Where the figures come from[/]")
    console.print(sources_table(plan_sources(plan)))
    console.print("\nMeasure your own: docs/engine.md says how.")


def sources_table(sources: Iterable[Source]) -> Table:
    """Return what each figure rests on."""
    table = plain_table()
    table.show_header = False
    table.add_column("", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("", overflow="fold", style="dim")
    for each in sources:
        table.add_row(each.figure, each.kind, escape(each.source))
    return table


def gpu_table(gpus: Sequence[Gpu]) -> Table:
    """Return the catalogue."""
    table = plain_table()
    table.add_column("card", no_wrap=True)
    for name in ("GB", "GB/s", "BF16", "FP8", "INT8"):
        table.add_column(name, justify="right")
    table.add_column("source", overflow="fold")
    for gpu in gpus:
        rates = (f"{value:g}" if value else "–" for value in (gpu.bf16_tflops, gpu.fp8_tflops, gpu.int8_tops))
        table.add_row(gpu.name, f"{gpu.memory_gib:g}", f"{gpu.bandwidth_gb_s:g}", *rates, gpu.source)
    table.caption = "10¹² operations a second, dense"
    table.caption_justify = "left"
    return table


def overview_table(plans: Sequence[GpuPlan]) -> Table:
    """Return what to take on each card."""
    table = plain_table()
    for name in ("card", "take"):
        table.add_column(name, no_wrap=True)
    for name in ("images in cache", "images/s", "all tagged", "cores 2 MP", "12 MP"):
        table.add_column(name, justify="right")
    for plan in plans:
        take, feeding = plan.take, plan.feeding
        if take is None or take.memory is None or feeding is None:
            table.add_row(plan.gpu.name, "nothing fits")
            continue
        table.add_row(
            plan.gpu.name,
            f"{short_name(plan.model)} {take.precision.name}",
            f"{take.memory.images:,}",
            rate(take.images_per_s),
            rate(with_tags_per_s(plan, take)),
            *(str(cores) for cores in feeding.cores.values()),
        )
    return table


def _card(gpu: Gpu) -> str:
    facts = [f"{gpu.memory_gib:g} GB", f"{gpu.bandwidth_gb_s:g} GB/s", *card_remarks(gpu)]
    return "; ".join(facts)


def _precision_table(plan: GpuPlan) -> Table:
    table = plain_table()
    table.add_column("")
    table.add_column("weights", justify="right")
    table.add_column("cache, tokens", justify="right")
    table.add_column("images in it", justify="right")
    table.add_column("images/s", justify="right")
    table.add_column("all safe", justify="right")
    table.add_column("computed", overflow="fold")
    for each in plan.precisions:
        style = "bold green" if each is plan.take else "" if each.memory else "dim"
        table.add_row(*_precision_row(each), style=style)
    return table


def _precision_row(each: PrecisionPlan) -> Iterator[str]:
    yield each.precision.name
    yield f"{each.weights_gib:.1f} GiB"
    if each.memory is None:
        yield from ("", "", "", "")
    else:
        yield from (f"{each.memory.kv_tokens:,}", f"{each.memory.images:,}")
        yield from (rate(each.images_per_s), rate(each.stage1_per_s))
    yield each.how


def _advice(plan: GpuPlan) -> Iterator[str]:
    take = plan.take
    if take is not None:
        yield f"Take [bold green]{take.precision.name}[/]{_origin(take)}."
    else:
        yield "[bold]Nothing fits.[/]"
    if take is not None and plan.faster is not None:
        yield f"{_times(plan.faster, take)} with weights that you calibrate on images of yours (docs/engine.md)."
    if plan.smaller is not None:
        size = short_name(plan.smaller)
        yield f"Of the published weights a smaller model fits: --model {size}."


def _origin(take: PrecisionPlan) -> str:
    if take.precision.name == "fp8-dynamic":
        return ": vLLM makes it of the bf16 weights while it loads"
    if take.precision.name == "fp8-block":
        return ": Qwen's FP8 weights"
    return "" if take.precision.from_hub else "; Qwen publishes no such weights: make them, see docs/engine.md"


def _times(faster: PrecisionPlan, than: PrecisionPlan) -> str:
    factor = faster.images_per_s / than.images_per_s
    return f"{faster.precision.name} is {factor:.1f} × as fast, {rate(faster.images_per_s)} images/s,"


def _print_code(console: Console, text: str, language: str) -> None:
    if console.is_terminal:
        console.print(Syntax(text, language, background_color="default"))
    else:
        console.print(escape(text), soft_wrap=True, highlight=False)


def _feeding(take: PrecisionPlan, cores: int | None) -> Iterator[str]:
    feeding = feed(take.images_per_s)
    needed = ", ".join(f"{count} for {size} photographs" for size, count in feeding.cores.items())
    yield f"{rate(take.images_per_s)} images/s need {needed}."
    yield (
        f"One process passes on {feeding.wall_images_per_s:.0f} images/s at most, as its threads share one "
        f"interpreter: {feeding.processes} {'process is' if feeding.processes == 1 else 'processes are'} enough."
    )
    if cores is not None:
        for size in feeding.cores:
            fed = min(fed_by(cores, size), take.images_per_s)
            yield f"{cores} cores and this card: {rate(fed)} images/s of {size}."
    yield feeding_assumptions()


def bullets(lines: Iterable[str]) -> RenderableType:
    """Return lines that wrap behind their bullet."""
    grid = Table.grid(padding=(0, 1))
    for line in lines:
        grid.add_row("·", escape(line))
    return Group(grid)


def plain_table() -> Table:
    """Return a table without lines."""
    return Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
