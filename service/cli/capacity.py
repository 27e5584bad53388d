"""`modstream capacity`: what a number of images a day needs."""

from typing import Annotated, Literal

import typer

from service.cli.as_json import as_json
from service.cli.cost import known_rate
from service.cli.exits import ExitCode
from service.cli.first_pass_options import (
    ClearedOption,
    FirstPassModelOption,
    FirstPassTokensOption,
    first_pass_of,
    planned_first_pass,
)
from service.cli.named_hardware import gpu_named, model_named
from service.cli.options import fail, output_console
from service.tools.planning.capacity import Prices, TooManyError, plan_capacity
from service.tools.planning.capacity_tables import capacity_assumptions, print_capacity
from service.tools.planning.demand import Demand
from service.tools.planning.first_pass import FirstPass
from service.tools.planning.models import DEFAULT_MODEL
from service.tools.planning.plan import plan_gpu
from service.tools.planning.prices import CPU_CORE_HOUR_USD, DISK_GB_MONTH_USD
from service.tools.planning.workers import Worker, embedded_worker, gpu_worker
from service.tools.planning.workload import TYPICAL, Workload

GPU_HOUR = 2.5
RETENTION_DAYS = 3.0
_USUAL = Demand(images_per_day=1)


def capacity(
    images_per_day: Annotated[float, typer.Option(min=1, max=1e9, help="Uploads a day, on average.")],
    *,
    peak_factor: Annotated[
        float, typer.Option(min=1.01, max=20, help="Rate at the busiest moment of a day ÷ average rate.")
    ] = _USUAL.peak_factor,
    image_kb: Annotated[
        float, typer.Option(min=0, help="Size of a photograph in the object store, in kB.")
    ] = _USUAL.image_kb,
    megapixels: Annotated[
        float, typer.Option(min=0.01, max=120, help="Size of a photograph, in megapixels.")
    ] = _USUAL.megapixels,
    event_kb: Annotated[
        float, typer.Option(min=0.1, help="Size of an upload event, in kB; with the image inside, 4/3 of the image.")
    ] = _USUAL.event_kb,
    engine: Annotated[
        Literal["gpu", "cpu"], typer.Option(help="gpu: a vision-language model; cpu: the embedded engine.")
    ] = "gpu",
    gpu: Annotated[str, typer.Option(metavar="NAME", help="A GPU, as in 'modstream engine plan'.")] = "H100",
    model: Annotated[str, typer.Option(metavar="SIZE", help="Size of Qwen3-VL: 2B, 4B, 8B, 32B.")] = DEFAULT_MODEL,
    images_per_s: Annotated[
        float | None,
        typer.Option(
            min=1e-3, help="The rate that you measured on one GPU of the kind --gpu; replaces the calculated rate."
        ),
    ] = None,
    tags_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of events that request tags.")
    ] = TYPICAL.tags_share,
    target_s: Annotated[
        float, typer.Option(min=0.1, help="Target time from upload to verdict, in seconds.")
    ] = _USUAL.target_s,
    growth: Annotated[
        float, typer.Option(min=1, max=100, help="Growth factor of uploads that the partitions allow for.")
    ] = _USUAL.growth,
    may_fail: Annotated[
        int, typer.Option(min=0, max=100, help="Processes that may fail at the peak while the others keep up.")
    ] = _USUAL.may_fail,
    retention_days: Annotated[float, typer.Option(min=0.01, help="Days for which Kafka keeps events and outcomes.")] = (
        RETENTION_DAYS
    ),
    gpu_hour: Annotated[
        float, typer.Option(min=0, help="Price of one GPU for an hour, including its cores and memory.")
    ] = GPU_HOUR,
    currency: Annotated[str, typer.Option(metavar="CODE", help="Currency of --gpu-hour and of all prices.")] = "USD",
    usd_rate: Annotated[
        float | None,
        typer.Option(min=1e-6, help="Units of the currency for a US dollar. USD and CNY have a rounded default."),
    ] = None,
    first_pass_tokens: FirstPassTokensOption = None,
    first_pass_model: FirstPassModelOption = None,
    cleared: ClearedOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Plan partitions, processes, GPUs, brokers, network and cost for a number of images a day.

    The number of partitions suffices for --growth times the images, because it cannot be reduced later. The number of
    processes suffices for the busiest moment of the day, with --may-fail of them missing and the others working at most
    70 % of their time. The plan is calculated, not measured, and lists its assumptions; docs/capacity.md has the rules,
    and a simulation of days, bursts and lost machines.

    [bold]Examples[/]

      modstream capacity --images-per-day 5000 --engine cpu

      modstream capacity --images-per-day 5000 --gpu L4 --gpu-hour 0.7 --may-fail 0

      modstream capacity --images-per-day 100000000 --peak-factor 3 --image-kb 400

      modstream capacity --images-per-day 100000000 --peak-factor 3 --first-pass-tokens 64 --cleared 0.8

      modstream capacity --images-per-day 2e6 --gpu 4090 --gpu-hour 3 --currency CNY --json

    [bold]Exit codes[/]  0 there is a plan · 1 the model does not fit, or too many processes · 2 wrong arguments
    """
    demand = Demand(images_per_day, peak_factor, image_kb, megapixels, event_kb, target_s, growth, may_fail)
    first = first_pass_of(first_pass_tokens, first_pass_model, cleared)
    if first is not None and (engine == "cpu" or images_per_s is not None):
        what = "--engine cpu has no first pass" if engine == "cpu" else "measure --images-per-s with the first pass"
        raise fail(f"{what}: leave --cleared out", code=ExitCode.USAGE)
    worker = (
        embedded_worker(megapixels)
        if engine == "cpu"
        else _on_gpu(gpu, model, tags_share, demand, images_per_s, first=first)
    )
    units = usd_rate if usd_rate is not None else known_rate(currency.upper())
    prices = Prices(gpu_hour, CPU_CORE_HOUR_USD * units, DISK_GB_MONTH_USD * units)
    try:
        plan = plan_capacity(demand, worker, prices, retention_days=retention_days)
    except TooManyError as error:
        raise fail(f"{error}; use a faster GPU, or several groups with topics of their own") from None
    assumptions = [*capacity_assumptions(plan, prices, currency.upper(), measured=images_per_s is not None)]
    if json:
        typer.echo(as_json({"currency": currency.upper(), "capacity": plan, "assumptions": assumptions}))
    else:
        print_capacity(output_console(), plan, currency.upper(), retention_days, assumptions)


def _on_gpu(
    gpu: str, model: str, tags_share: float, demand: Demand, images_per_s: float | None, *, first: FirstPass | None
) -> Worker:
    plan = plan_gpu(gpu_named(gpu), model_named(model), Workload(tags_share=tags_share))
    passes = planned_first_pass(plan, first)
    worker = gpu_worker(plan, demand.megapixels, images_per_s=images_per_s, passes=passes)
    if worker is None:
        message = f"--gpu: {plan.model.name} does not fit {plan.gpu.name}: a smaller --model or another card may"
        raise fail(message)
    return worker
