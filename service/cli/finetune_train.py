"""`modstream finetune train`, `evaluate`, `run` and `plan`: prepared data become a measured adapter."""

import logging
from pathlib import Path
from typing import Annotated, Literal

import typer

from service.cli.dataset_options import SeedOption
from service.cli.engine_choice import EngineOption, with_engine
from service.cli.exits import ExitCode
from service.cli.options import ConfigOption, errors_shown, fail, load_or_exit, output_console

_COST = "How much of the machine it takes"
_LEARNING = "How it learns"

PreparedArgument = Annotated[
    Path, typer.Argument(metavar="PREPARED", help="A folder of 'modstream finetune prepare'.", show_default=False)
]
PolicyOption = Annotated[
    Path,
    typer.Option(
        "--policy", metavar="FILE", help="The policy file that the data was prepared with.", show_default=False
    ),
]
OutOption = Annotated[
    Path,
    typer.Option(
        "--out",
        metavar="FOLDER",
        help="The adapter's folder; an interrupted training goes on in it.",
        show_default=False,
    ),
]
BaseOption = Annotated[
    str | None,
    typer.Option(
        "--base",
        metavar="MODEL",
        help="The Qwen3-VL to train, in full precision: its name on the hub, or a folder. Default: engine.vllm.model.",
        show_default=False,
    ),
]
RevisionOption = Annotated[
    str | None, typer.Option("--revision", metavar="COMMIT", help="Of the base model on the hub. Default: the newest.")
]
NameOption = Annotated[
    str | None,
    typer.Option("--name", help="Name of the adapter in settings and policies. Default: that of the folder."),
]
ServeOnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--serve-on",
        metavar="MODEL[@REVISION]",
        help="Another model that the adapter may be used with, such as the base in FP8; may be repeated.",
    ),
]
EpochsOption = Annotated[
    int, typer.Option("--epochs", min=1, max=1_000, rich_help_panel=_LEARNING, help="How often each image is learnt.")
]
RateOption = Annotated[
    float,
    typer.Option(
        "--learning-rate", min=1e-7, max=0.1, rich_help_panel=_LEARNING, help="The highest, after a short warm-up."
    ),
]
RankOption = Annotated[
    int,
    typer.Option(
        "--rank",
        min=1,
        max=512,
        rich_help_panel=_LEARNING,
        help="Of the adapter; more learns more, and takes more memory.",
    ),
]
StepOption = Annotated[
    int,
    typer.Option("--images-a-step", min=1, max=4_096, rich_help_panel=_LEARNING, help="Images that count together."),
]
PatienceOption = Annotated[
    int,
    typer.Option(
        "--patience",
        min=1,
        max=1_000,
        rich_help_panel=_LEARNING,
        help="Validations, two an epoch, without improvement that end the training.",
    ),
]
MergerOption = Annotated[
    bool,
    typer.Option(
        "--merger",
        rich_help_panel=_LEARNING,
        help="Adapt the vision mergers too, for pictures unlike any that the model knows. The engine needs "
        "engine_args: {enable_tower_connector_lora: true} then.",
    ),
]
TokensOption = Annotated[
    int | None,
    typer.Option(
        "--tokens-a-pass",
        min=64,
        max=262_144,
        rich_help_panel=_COST,
        help="Tokens in memory at a time; less takes longer and fits smaller cards. Default: what the plan for this "
        "card says, or 8192, or 2048 on a CPU.",
    ),
]
QuantizeOption = Annotated[
    Literal["auto", "none", "nf4"],
    typer.Option(
        "--quantize",
        rich_help_panel=_COST,
        help="Keep frozen weights in 4 bits (nf4, on CUDA), or as they come. auto: nf4 where the plan for this card "
        "says so.",
    ),
]


def train(
    prepared: PreparedArgument,
    config: ConfigOption = None,
    *,
    out: OutOption,
    base: BaseOption = None,
    revision: RevisionOption = None,
    engine: EngineOption = None,
    name: NameOption = None,
    serve_on: ServeOnOption = None,
    epochs: EpochsOption = 3,
    learning_rate: RateOption = 2e-4,
    rank: RankOption = 16,
    images_a_step: StepOption = 16,
    patience: PatienceOption = 4,
    merger: MergerOption = False,
    tokens_a_pass: TokensOption = None,
    quantize: QuantizeOption = "auto",
    seed: SeedOption = 0,
) -> None:
    """Train a LoRA adapter on prepared data, and write its folder.

    The questions are those that the engine asks, token by token. The loss is the cross-entropy of the answer's one
    token over the whole vocabulary, and of every token of tags. After half an epoch each, the split for validation is
    answered; the weights that answer it best are kept.

    The training goes on from its last checkpoint when the same command is given again: after Ctrl-C, a crash or a full
    disk. On a CPU it ends with the same weights as one that was never interrupted.

    Settings give the bounds of images (engine.vllm.min_vision_tokens and max_vision_tokens), which have to be those of
    the service. Measure the adapter with 'modstream finetune evaluate' before you use it.

    [bold]Examples[/]

      modstream finetune train prepared --base Qwen/Qwen3-VL-8B-Instruct --out adapters/shop

      modstream finetune train prepared --base Qwen/Qwen3-VL-8B-Instruct --out adapters/shop
      --serve-on Qwen/Qwen3-VL-8B-Instruct-FP8 --quantize nf4 --tokens-a-pass 4096

    [bold]Exit codes[/]  0 trained · 1 the data, the model or the folder cannot be used, or memory does not suffice ·
    2 wrong arguments or settings · 130 stopped by Ctrl-C; the same command goes on
    """
    # PEFT loads it wherever it is installed, and it warns of kernels that only 4 bits on a CPU would need.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    from service.cli.finetune_train_run import TrainAsked, trained  # noqa: PLC0415 - the help need not load torch

    asked = TrainAsked(
        prepared=prepared,
        base=base,
        revision=revision,
        out=out,
        name=name,
        serve_on=serve_on or (),
        quantize=quantize,
        tokens_a_pass=tokens_a_pass,
        learning={
            "epochs": epochs,
            "learning_rate": learning_rate,
            "rank": rank,
            "alpha": 2 * rank,
            "images_a_step": images_a_step,
            "patience": patience,
            "merger": merger,
            "seed": seed,
        },
    )
    with errors_shown():
        trained(with_engine(load_or_exit(config).settings, engine), asked)


def evaluate(
    adapter: Annotated[
        Path, typer.Argument(metavar="ADAPTER", help="A folder of 'modstream finetune train'.", show_default=False)
    ],
    prepared: PreparedArgument,
    config: ConfigOption = None,
    *,
    policy: PolicyOption,
    engine: EngineOption = None,
) -> None:
    """Measure an adapter with the engine on the held-out images, and fit the calibration of its scores.

    vLLM starts once, with the adapter. It judges the held-out images without the adapter and with it, and the split for
    validation with it. The adapter's folder gets before.jsonl and after.jsonl, which 'modstream evaluate compare' takes
    as well, calibration.yaml for the setting policy.calibration, and the figures in its model card.

    A verdict is kept as soon as it is there: the same command goes on after an interruption.

    [bold]Examples[/]

      modstream finetune evaluate adapters/shop prepared --policy policy.yaml -c modstream.yaml

    [bold]Exit codes[/]  0 measured, whatever the difference · 1 the engine, the data or the adapter cannot be used · 2
    wrong arguments or settings · 130 stopped by Ctrl-C; the same command goes on
    """
    from service.cli.finetune_evaluate_run import evaluated, print_measurement  # noqa: PLC0415 - loads much

    with errors_shown():
        settings = with_engine(load_or_exit(config).settings, engine)
        print_measurement(evaluated(settings, adapter, prepared, policy), adapter)


def plan(
    *,
    gpu: Annotated[
        str | None, typer.Option(metavar="NAME", help="A GPU, such as 3090. Default: the cards of the table.")
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Images that are trained on.")] = 5_000,
    epochs: EpochsOption = 3,
    rank: RankOption = 16,
    vision_tokens: Annotated[
        int, typer.Option(min=4, max=16384, help="Vision tokens of an image; one covers 32 × 32 pixels.")
    ] = 256,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table of docs/finetune.md.")] = False,
) -> None:
    """Calculate which Qwen3-VL a card can train, with which options, and for how long.

    Memory and hours are calculated from the shape of the model and the card's data sheet. No model is loaded and
    nothing is measured.

    [bold]Examples[/]

      modstream finetune plan

      modstream finetune plan --gpu 3090 --images 20000

    [bold]Exit codes[/]  0 printed · 2 wrong arguments
    """
    from service.cli.finetune_plan_table import plan_markdown, plan_table  # noqa: PLC0415 - the help need not load it
    from service.cli.named_hardware import gpu_named  # noqa: PLC0415 - as above
    from service.tools.finetuning.memory_plan import CARDS, TrainingWork, training_plans  # noqa: PLC0415 - as above

    work = TrainingWork(images=images, epochs=epochs, vision_tokens=vision_tokens)
    cards = [gpu_named(gpu).name] if gpu else CARDS
    found = training_plans(work, cards=cards, rank=rank)
    if markdown:
        typer.echo(plan_markdown(found))
        return
    console = output_console()
    console.print(plan_table(found))
    console.print(
        f"Calculated, not measured: {images:,} images of {vision_tokens} vision tokens, {epochs} epochs, rank {rank}."
    )


def check_name(name: str) -> None:
    """End the command for a name that settings cannot hold."""
    if not name or any(character.isspace() or character == "=" for character in name):
        message = f"--name {name!r}: an adapter's name has no space and no '='"
        raise fail(message, code=ExitCode.USAGE)
