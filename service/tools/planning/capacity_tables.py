"""A deployment for a number of images a day, in a terminal."""

import math
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from service.settings.kafka import KafkaSettings
from service.tools.planning.brokers import BROKER_CORES, BROKER_MEMORY_GIB, DISK_FILLED, OUTCOME_KB, REPLICATION
from service.tools.planning.capacity import COMMIT_S, FETCH_S, Capacity, Prices
from service.tools.planning.cost_tables import money
from service.tools.planning.incidents import REBALANCE_S, Incident
from service.tools.planning.overview import rate
from service.tools.planning.partitions import A_PROCESS, MOST_A_PROCESS, PLANNED_BUSY, STRAINED_BUSY
from service.tools.planning.plan_tables import bullets, plain_table
from service.tools.planning.workers import DECODER_GIB, VLLM_GIB

# Longer waits are printed in minutes, still longer ones in hours.
MINUTES_FROM_S, HOURS_FROM_S = 120.0, 7200.0
TWO_DIGITS_FROM = 10.0
# An always-on machine that works less than this share of the day's busiest moment is mostly paid for waiting.
IDLE_BUSY = 0.1


def print_capacity(
    console: Console, plan: Capacity, currency: str, retention_days: float, assumptions: Sequence[str]
) -> None:
    """Print what is needed and why, what misfortunes do, what it costs, and what all that rests on."""
    console.print(f"[bold]{plan.demand.images_per_day:,.0f} images a day[/], {plan.worker.name}")
    console.print(Padding(_table(plan, currency, retention_days), (1, 0), expand=False))
    for line in _advice(plan):
        console.print(line)
    console.print("\n[bold]With processes of that number, always on[/]")
    console.print(bullets([*map(incident_in_words, plan.incidents), _burst_in_words(plan)]))
    console.print("\n[bold]Assumptions[/]")
    console.print(bullets(assumptions))


def _table(plan: Capacity, currency: str, retention_days: float) -> Table:
    table = plain_table()
    table.show_header = False
    table.add_column("", no_wrap=True)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("", overflow="fold", style="dim")
    for row in (*_load_rows(plan), *_kafka_rows(plan, retention_days), *_cost_rows(plan, currency)):
        table.add_row(*row)
    return table


def _load_rows(plan: Capacity) -> Iterator[tuple[str, str, str]]:
    worker, demand = plan.worker, plan.demand
    yield "images/s", few_digits(plan.average_per_s), "on average"
    yield "at the peak", few_digits(plan.peak_per_s), f"{demand.peak_factor:g} × the average"
    needed = f"{A_PROCESS} for each process that {demand.growth:g} × the images need, rounded up"
    yield "partitions", f"{plan.partitions:,}", needed
    yield "processes", f"{plan.processes:,}", _why_processes(plan)
    if worker.has_gpu:
        first = f", {plan.first_pass_gpus:,} for the first pass" if plan.first_pass_gpus else ""
        yield (
            "GPUs",
            f"{plan.gpus:,}",
            f"one a process, {rate(worker.images_per_s)} images/s: {worker.limited_by}{first}",
        )
    else:
        yield "", "", f"{rate(worker.images_per_s)} images/s each: {worker.limited_by}"
    yield "CPU cores", f"{plan.cores:,}", f"{worker.cores} a process"
    yield (
        "memory",
        f"{plan.memory_gib:,.0f} GiB",
        f"{worker.memory_gib:.1f} a process" + (", beside the GPU's" if worker.has_gpu else ""),
    )
    yield (
        "object store",
        f"{few_digits(plan.object_store_gbit_s)} Gbit/s",
        f"{demand.image_kb:g} kB an image, at the peak",
    )
    yield "in flight", few_digits(plan.in_flight), "a process; window.max_records must be above"
    yield "answered in", f"{plan.answer_s:.1f} s", f"at the peak, one token; the target is {demand.target_s:g} s"


def _why_processes(plan: Capacity) -> str:
    spare = plan.demand.may_fail
    missing = f"{spare} may be missing" if spare else "none may be missing"
    return f"the busiest works {plan.busy:.1%} of its time then; {missing}"


def _kafka_rows(plan: Capacity, retention_days: float) -> Iterator[tuple[str, str, str]]:
    brokers = plan.brokers
    yield "brokers", f"{brokers.count}", f"limited by {brokers.limited_by}"
    yield "their disk", f"{few_digits(brokers.disk_gb)} GB", f"{retention_days:g} days × {REPLICATION} copies, together"
    yield "written", f"{few_digits(brokers.written_mb_s)} MB/s", "all copies, at the peak"


def _cost_rows(plan: Capacity, currency: str) -> Iterator[tuple[str, str, str]]:
    cost = plan.cost
    yield "a month", money(cost.always_on + cost.brokers), f"{currency}; brokers are {money(cost.brokers)} of it"
    yield "per 1,000", money(cost.per_1000), f"{currency}, always on"
    yield (
        "scaled",
        money(cost.per_1000_scaled),
        f"{currency} per 1,000, {plan.processes_at_night} to {plan.processes} processes",
    )


def _advice(plan: Capacity) -> Iterator[str]:
    if not plan.keeps_target:
        yield f"[yellow]An ordinary image takes {plan.answer_s:.1f} s:[/] the target cannot be kept with this engine."
    if plan.busy < IDLE_BUSY and plan.worker.has_gpu:
        yield (
            f"[yellow]At the peak the busiest GPU works {plan.busy:.1%} of its time:[/] a smaller card, the embedded "
            "engine if its categories are enough, or batch hours cost less; 'modstream cost' compares."
        )


def incident_in_words(incident: Incident) -> str:
    """Return what it does."""
    if not incident.lag:
        return f"{incident.name}: no lag"
    end = "never catches up" if math.isinf(incident.caught_up_s) else f"gone after {length(incident.caught_up_s)}"
    return f"{incident.name}: {incident.lag:,.0f} records wait, up to {length(incident.longest_wait_s)}; {end}"


def few_digits(value: float) -> str:
    """Return a number with two digits, or all before its point."""
    return f"{value:,.0f}" if value >= TWO_DIGITS_FROM else f"{value:.2g}"


def length(seconds: float) -> str:
    """Return a time with the digits that an estimate has."""
    if seconds < MINUTES_FROM_S:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < HOURS_FROM_S else f"{seconds / 3600:.1f} h"


def _burst_in_words(plan: Capacity) -> str:
    target, processes = plan.demand.target_s, plan.processes_for_burst
    if processes <= plan.processes:
        return f"the target of {target:g} s holds through that burst"
    fits = "" if processes <= plan.partitions else f", which {plan.partitions} partitions do not share"
    return f"the target of {target:g} s would hold through that burst with {processes:,} processes{fits}"


def capacity_assumptions(plan: Capacity, prices: Prices, currency: str, *, measured: bool) -> Iterator[str]:
    """Yield all that the figures rest on."""
    worker = plan.worker
    if worker.has_gpu and measured:
        yield f"{worker.name}: {rate(worker.images_per_s)} images/s, as you gave it."
    elif worker.has_gpu:
        yield f"{worker.name}: {rate(worker.images_per_s)} images/s, calculated and never measured on a GPU."
    else:
        yield f"{worker.name}: from rates measured on one core (docs/benchmarks.md); it covers fewer categories."
    yield (
        f"No process is planned to work more than {PLANNED_BUSY:.0%} of its time at the peak, or {STRAINED_BUSY:.0%} "
        f"while {plan.demand.may_fail} are missing; at most {MOST_A_PROCESS} partitions a process."
    )
    yield "Decoding and the process's own work: measured on this project's test machine; other sizes lie on lines."
    yield (
        f"A fetch takes {FETCH_S:g} s, a commit {COMMIT_S:g} s; a rebalance {REBALANCE_S:g} s, after "
        f"{KafkaSettings().session_timeout_s:g} s (kafka.session_timeout_s) where a process vanished."
    )
    yield (
        f"Records: {plan.demand.event_kb:g} kB in, {OUTCOME_KB:g} kB out, not compressed; {DISK_FILLED:.0%} of a disk "
        f"is filled. A broker: {BROKER_CORES} cores, {BROKER_MEMORY_GIB} GiB."
    )
    yield f"Memory: {DECODER_GIB:g} GiB a decoder" + (f", {VLLM_GIB:g} for vLLM." if worker.has_gpu else ".")
    yield (
        f"Prices in {currency}: {prices.gpu_hour:g} a GPU and hour with its machine, {prices.core_hour:g} a core and "
        f"hour, {prices.disk_gb_month:g} a GB of disk and month. Not in it: the object store, traffic, people."
    )
