"""`python -m service.tools.planning.simulation [--images-per-day N] [--gpu NAME] [--table] [--pictures FOLDER]`.

One process image by image, at rising load; then the whole group through days and misfortunes. Calculated costs of the
GPU, measured costs of the rest: docs/capacity.md says which is which.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from service.tools.planning.capacity import Capacity, Prices, plan_capacity
from service.tools.planning.capacity_tables import length
from service.tools.planning.demand import Demand
from service.tools.planning.gpus import find_gpu
from service.tools.planning.models import DEFAULT_MODEL, find_model
from service.tools.planning.plan import GpuPlan, plan_gpu
from service.tools.planning.plan_tables import plain_table
from service.tools.planning.simulation.costs import StageCosts, gpu_costs
from service.tools.planning.simulation.overview import (
    CARD_HOURS,
    CORE_HOUR,
    DISK_GB_MONTH,
    RETENTION_DAYS,
    overview_markdown,
)
from service.tools.planning.simulation.pictures import draw
from service.tools.planning.simulation.scenarios import Result, one_process, peak_share_per_s, play, scenarios
from service.tools.planning.simulation.statistics import percentiles
from service.tools.planning.workers import gpu_worker
from service.tools.planning.workload import TYPICAL

LOADS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
SHOWN = (0.5, 0.95, 0.99)


def main() -> None:
    """Print both tables, and draw if a folder is named."""
    options = _options()
    console = Console(width=150, highlight=False)
    if options.table:
        console.print(overview_markdown(), soft_wrap=True)
    card = plan_gpu(find_gpu(options.gpu), find_model(DEFAULT_MODEL), TYPICAL)
    plan, costs = _plan(card, options)
    console.print(f"[bold]{options.images_per_day:,.0f} images a day, {plan.worker.name}[/]")
    console.print(
        f"{plan.partitions} partitions, {plan.processes} processes, {plan.peak_per_s:,.0f} images/s at the peak"
    )
    console.print(_one_process_table(costs))
    inside = one_process(costs, peak_share_per_s(plan))
    results = [play(each, inside, plan.demand.target_s) for each in scenarios(plan, sum(inside) / len(inside))]
    console.print(_scenario_table(results, plan.demand.target_s))
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
        for result in results:
            console.print(f"drawn: {draw(result, inside, plan.demand.target_s, options.pictures)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m service.tools.planning.simulation", description=__doc__)
    parser.add_argument("--images-per-day", type=float, default=100e6)
    parser.add_argument("--peak-factor", type=float, default=Demand(1).peak_factor)
    parser.add_argument("--megapixels", type=float, default=Demand(1).megapixels)
    parser.add_argument("--target-s", type=float, default=Demand(1).target_s)
    parser.add_argument("--gpu", default="H100")
    parser.add_argument("--table", action="store_true", help="print the table of docs/capacity.md, too")
    parser.add_argument("--pictures", type=Path, help="a folder for pictures; none are drawn without it")
    return parser.parse_args()


def _plan(card: GpuPlan, options: argparse.Namespace) -> tuple[Capacity, StageCosts]:
    worker = gpu_worker(card, options.megapixels)
    if worker is None:
        raise SystemExit(f"{card.model.name} does not fit {card.gpu.name}")
    demand = Demand(
        options.images_per_day, options.peak_factor, megapixels=options.megapixels, target_s=options.target_s
    )
    prices = Prices(CARD_HOURS.get(card.gpu.name, 0.0), CORE_HOUR, DISK_GB_MONTH)
    plan = plan_capacity(demand, worker, prices, retention_days=RETENTION_DAYS)
    return plan, gpu_costs(card, decoders=worker.cores, megapixels=options.megapixels)


def _one_process_table(costs: StageCosts) -> Table:
    table = plain_table()
    table.title, table.title_justify = "\nOne process, image by image", "left"
    for name in ("busy", "images/s", *(f"p{share * 100:g}" for share in SHOWN)):
        table.add_column(name, justify="right")
    for load in LOADS:
        latencies = one_process(costs, load * costs.images_per_s)
        shown = percentiles(((latency, 1.0) for latency in latencies), SHOWN)
        table.add_row(f"{load:.0%}", f"{load * costs.images_per_s:.0f}", *(f"{each:.2f} s" for each in shown))
    return table


def _scenario_table(results: Sequence[Result], target_s: float) -> Table:
    table = plain_table()
    table.title, table.title_justify = "\nThe group", "left"
    table.add_column("", no_wrap=True)
    names = ("most waiting", "p50", "p99", "longest", f"≤ {target_s:g} s", "busy", "processes", "process hours", "reb.")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for result in results:
        table.add_row(result.scenario.title, *_cells(result))
    return table


def _cells(result: Result) -> tuple[str, ...]:
    return (
        f"{result.most_lag:,.0f}",
        f"{result.p50_s:.1f} s",
        length(result.p99_s),
        length(result.longest_s),
        f"{result.within_target:.2%}",
        f"{result.utilisation:.0%}",
        f"{min(each.processes for each in result.samples)}–{result.most_processes}",
        f"{result.process_hours:,.0f}",
        f"{result.rebalances}",
    )


if __name__ == "__main__":
    main()
