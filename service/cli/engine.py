"""`modstream engine`: what a vision-language model needs."""

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
from service.cli.lazy import LazyGroup, Subcommand, add
from service.cli.named_hardware import gpu_named, model_named
from service.cli.options import fail, output_console
from service.tools.planning.advice import plan_assumptions, settings_yaml, work_in_words
from service.tools.planning.choice_tables import choices_markdown, choices_table, priced
from service.tools.planning.choices import choices
from service.tools.planning.first_pass import FirstPass
from service.tools.planning.first_pass_tables import first_pass_markdown, first_pass_sources, print_first_pass
from service.tools.planning.gpus import GPUS
from service.tools.planning.models import DEFAULT_MODEL, ModelShape, short_name
from service.tools.planning.overview import needs_markdown, overview, overview_markdown
from service.tools.planning.plan import GpuPlan, plan_gpu
from service.tools.planning.plan_tables import gpu_table, overview_table, print_plan
from service.tools.planning.precisions import PrecisionName
from service.tools.planning.published_rates import published_markdown
from service.tools.planning.remote import remote_settings_yaml, serve_command
from service.tools.planning.sources import plan_sources
from service.tools.planning.workload import TYPICAL, Workload

app = typer.Typer(cls=LazyGroup, no_args_is_help=True, help="Plan an engine for a GPU, and try an engine on files.")


@app.command()
def plan(
    gpu: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="A GPU, such as 3090 or 'A100 80GB'. 'list' lists the known GPUs, 'all' plans for each.",
        ),
    ],
    *,
    model: Annotated[str, typer.Option(metavar="SIZE", help="Size of Qwen3-VL: 2B, 4B, 8B, 32B.")] = DEFAULT_MODEL,
    precision: Annotated[
        PrecisionName | None,
        typer.Option(
            help="Precision of the weights. Default: the fastest published ones. fp8-block are Qwen's FP8 weights; "
            "vLLM makes fp8-dynamic from the bf16 model."
        ),
    ] = None,
    stage2_share: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Share of images that get follow-up questions."),
    ] = TYPICAL.stage2_share,
    tags_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of events that request tags.")
    ] = TYPICAL.tags_share,
    vision_tokens: Annotated[
        int, typer.Option(min=4, max=16384, help="Vision tokens of an image; one covers 32 × 32 pixels.")
    ] = TYPICAL.vision_tokens,
    policy_tokens: Annotated[
        int, typer.Option(min=1, max=16384, help="Tokens of the policy's text, which is cached.")
    ] = TYPICAL.policy_tokens,
    gpu_hour: Annotated[
        float, typer.Option(min=0, help="Price of the card for an hour; prints the price of 1,000 images.")
    ] = 1.0,
    cores: Annotated[
        int | None, typer.Option(min=1, help="CPU cores of the machine; prints the rate that they can feed.")
    ] = None,
    remote: Annotated[
        bool,
        typer.Option(
            "--remote", help="Plan for a separate server: print its command, and the settings of engine.openai."
        ),
    ] = False,
    settings: Annotated[bool, typer.Option("--settings", help="Print only the settings, for a file.")] = False,
    first_pass_tokens: FirstPassTokensOption = None,
    first_pass_model: FirstPassModelOption = None,
    cleared: ClearedOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="With --gpu all: print the tables of docs/engine.md.")
    ] = False,
) -> None:
    """Plan precision, settings and expected images a second for a GPU.

    The plan is calculated from the GPU's data sheet and the model's shape, and lists its assumptions. No model is
    loaded and nothing is measured.

    [bold]Examples[/]

      modstream engine plan --gpu "RTX 3090"

      modstream engine plan --gpu "RTX 3090" --settings > modstream.yaml

      modstream engine plan --gpu L4 --precision fp8-dynamic --settings

      modstream engine plan --gpu L4 --remote

      modstream engine plan --gpu H100 --tags-share 0.2 --cores 16

      modstream engine plan --gpu H100 --first-pass-tokens 64 --cleared 0.8

      modstream engine plan --gpu 3080-10GB --model 4B --json

      modstream engine plan --gpu all

    [bold]Exit codes[/]  0 there is a plan · 1 nothing fits · 2 wrong arguments
    """
    work = Workload(policy_tokens, vision_tokens, stage2_share=stage2_share, tags_share=tags_share)
    shape = model_named(model)
    first = first_pass_of(first_pass_tokens, first_pass_model, cleared)
    if first is not None and (settings or gpu.lower() in {"list", "all"}):
        raise fail("--cleared: a first pass is planned for one --gpu, without --settings", code=ExitCode.USAGE)
    if gpu.lower() == "list":
        _print_catalogue(json=json)
    elif gpu.lower() == "all":
        _print_all(shape, work, json=json, markdown=markdown)
    elif settings:
        _print_settings(plan_gpu(gpu_named(gpu), shape, work, wanted=precision), remote=remote)
    else:
        found = plan_gpu(gpu_named(gpu), shape, work, wanted=precision)
        _print_one(found, gpu_hour, cores, first=first, remote=remote, json=json)


def _print_catalogue(*, json: bool) -> None:
    if json:
        typer.echo(as_json(GPUS))
    else:
        output_console().print(gpu_table(GPUS))


def _print_all(model: ModelShape, work: Workload, *, json: bool, markdown: bool) -> None:
    if json:
        typer.echo(as_json(overview(model, work)))
    elif markdown:
        tables = (
            overview_markdown(model, work),
            needs_markdown(work),
            choices_markdown(work),
            first_pass_markdown(work),
            published_markdown(),
        )
        typer.echo("\n".join(tables), nl=False)
    else:
        console = output_console()
        console.print(overview_table(overview(model, work)))
        console.print(f"\nCalculated for {work_in_words(work)}. Assumptions: --gpu NAME.", highlight=False)


def _print_settings(plan: GpuPlan, *, remote: bool) -> None:
    if plan.take is None:
        smaller = f": --model {short_name(plan.smaller)} does" if plan.smaller else ""
        raise fail(f"--gpu: {plan.model.name} does not fit {plan.gpu.name}{smaller}")
    typer.echo(_settings(plan, remote=remote), nl=False)


def _settings(plan: GpuPlan, *, remote: bool) -> str:
    if plan.take is None:
        return ""
    return remote_settings_yaml(plan.take) if remote else settings_yaml(plan, plan.take)


def _print_one(
    plan: GpuPlan, gpu_hour: float, cores: int | None, *, first: FirstPass | None, remote: bool, json: bool
) -> None:
    command = serve_command(plan, plan.take) if remote and plan.take else ""
    settings, models = _settings(plan, remote=remote), choices(plan.gpu, plan.work, also=plan.model)
    passes = planned_first_pass(plan, first)
    if json:
        answer = {"plan": plan, "settings_yaml": settings, "models": priced(models, gpu_hour)}
        answer |= {"assumptions": [*plan_assumptions(plan)], "sources": [*plan_sources(plan)]}
        if passes is not None:
            answer |= {"first_pass": passes, "first_pass_sources": [*first_pass_sources()]}
        typer.echo(as_json(answer | ({"serve_command": command} if remote else {})))
    else:
        console = output_console()
        print_plan(console, plan, settings, choices_table(models, gpu_hour), cores=cores, command=command)
        if passes is not None:
            print_first_pass(console, plan, passes, gpu_hour, cores)
    if plan.take is None:
        raise typer.Exit(ExitCode.FAILED)


add(
    app,
    Subcommand(
        "try",
        "service.cli.try_files:try_images",
        "Judge images with the engine of 'modstream serve', without Kafka; nothing is published.",
    ),
)
