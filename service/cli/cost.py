"""`modstream cost`: an own machine against services that are paid by the image."""

from typing import Annotated

import typer

from service.cli.as_json import as_json
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
from service.tools.planning.choice_tables import choices_table, priced
from service.tools.planning.choices import choices
from service.tools.planning.cost import CostQuestion, compare
from service.tools.planning.cost_tables import UNNAMED_CARD, cost_assumptions, print_comparison
from service.tools.planning.first_pass_tables import first_pass_assumption, first_pass_sources
from service.tools.planning.models import DEFAULT_MODEL, short_name
from service.tools.planning.plan import GpuPlan, plan_gpu
from service.tools.planning.prices import USD_RATES
from service.tools.planning.sources import cost_sources
from service.tools.planning.workload import TYPICAL, Workload

DEFAULT_GPU = "H100"
# Loading the model, and waiting for the first and the last images of a stretch.
UTILISATION = 0.8


def cost(
    images_per_day: Annotated[float, typer.Option(min=1, help="Uploads a day, on average.")],
    gpu_hour: Annotated[float, typer.Option(min=0, help="Price of one GPU for an hour, in --currency.")],
    *,
    gpu: Annotated[
        str | None,
        typer.Option(metavar="NAME", help=f"A GPU, as in 'modstream engine plan'. Default: {DEFAULT_GPU}."),
    ] = None,
    model: Annotated[str, typer.Option(metavar="SIZE", help="Size of Qwen3-VL: 2B, 4B, 8B, 32B.")] = DEFAULT_MODEL,
    currency: Annotated[str, typer.Option(metavar="CODE", help="Currency of all prices.")] = "USD",
    usd_rate: Annotated[
        float | None,
        typer.Option(min=1e-6, help="Units of the currency for a US dollar. USD and CNY have a rounded default."),
    ] = None,
    images_per_s: Annotated[
        float | None,
        typer.Option(min=1e-3, help="The rate that you measured on one GPU; replaces the calculated rate."),
    ] = None,
    stage2_share: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Share of images that get follow-up questions."),
    ] = TYPICAL.stage2_share,
    tags_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of events that request tags.")
    ] = TYPICAL.tags_share,
    utilisation: Annotated[
        float,
        typer.Option(
            min=0.01, max=1.0, help="Share of the paid time in which a GPU judges, if you rent it by the hour."
        ),
    ] = UTILISATION,
    first_pass_tokens: FirstPassTokensOption = None,
    first_pass_model: FirstPassModelOption = None,
    cleared: ClearedOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Compare the cost of your own GPU with services that charge by the image.

    The GPU's rate is calculated as by 'modstream engine plan'; --images-per-s replaces it by a measured rate, and --gpu
    then only adds the rates of the other models. Kafka, storage and working time cost extra in both cases.

    [bold]Examples[/]

      modstream cost --images-per-day 5000 --gpu-hour 3 --currency CNY --gpu "RTX 3090"

      modstream cost --images-per-day 2000000 --gpu-hour 2.5 --tags-share 0.2

      modstream cost --images-per-day 2000000 --gpu-hour 0.4 --images-per-s 20

      modstream cost --images-per-day 2000000 --gpu-hour 2.5 --first-pass-tokens 64 --cleared 0.8

      modstream cost --images-per-day 5000 --gpu-hour 0.4 --currency EUR --usd-rate 0.9 --gpu L4 --json

    [bold]Exit codes[/]  0 compared · 1 the model does not fit the card · 2 wrong arguments
    """
    currency = currency.upper()
    plan = plan_gpu(
        gpu_named(gpu or DEFAULT_GPU), model_named(model), Workload(stage2_share=stage2_share, tags_share=tags_share)
    )
    first = first_pass_of(first_pass_tokens, first_pass_model, cleared)
    if first is not None and images_per_s is not None:
        raise fail("--images-per-s: measure it with the first pass, and leave --cleared out", code=ExitCode.USAGE)
    passes = planned_first_pass(plan, first)
    calculated = passes.images_per_s if passes is not None else None
    rate = images_per_s or calculated or _calculated_rate(plan)
    units = usd_rate if usd_rate is not None else known_rate(currency)
    comparison = compare(CostQuestion(images_per_day, gpu_hour, units, rate, utilisation, currency))
    assumptions = cost_assumptions(plan, comparison, currency, rate_given=usd_rate is not None, measured=images_per_s)
    sources = [*cost_sources(comparison.question, measured=images_per_s is not None, rate_given=usd_rate is not None)]
    if passes is not None:
        assumptions.insert(1, first_pass_assumption(passes))
        sources += first_pass_sources()
    is_named = gpu is not None or images_per_s is None
    models = choices(plan.gpu, plan.work, also=plan.model) if is_named else ()
    if json:
        answer = {"currency": currency, "comparison": comparison, "models": priced(models, gpu_hour)}
        answer |= {} if passes is None else {"first_pass": passes}
        typer.echo(as_json(answer | {"assumptions": assumptions, "sources": sources}))
    else:
        console = output_console()
        card = plan.gpu.name if is_named else UNNAMED_CARD
        print_comparison(console, card, comparison, currency, assumptions, sources=sources)
        if models:
            console.print(f"\n[bold]Models on {plan.gpu.name}[/], always busy, one pass, calculated")
            console.print(choices_table(models, gpu_hour, currency))


def _calculated_rate(plan: GpuPlan) -> float:
    if plan.take is None:
        smaller = (
            f"--model {short_name(plan.smaller)} does" if plan.smaller else "a smaller --model or another card may"
        )
        message = f"--gpu: {plan.model.name} does not fit {plan.gpu.name}: {smaller}"
        raise fail(message)
    return plan.take.images_per_s


def known_rate(currency: str) -> float:
    """Return the units of a currency for a US dollar, or fail as wrong usage where they are not known."""
    if (rate := USD_RATES.get(currency)) is None:
        message = f"--currency {currency}: give --usd-rate, the units of {currency} for a US dollar"
        raise fail(message, code=ExitCode.USAGE)
    return rate
