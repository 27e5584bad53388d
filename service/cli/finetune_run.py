"""`modstream finetune run`: from labelled images to a measured adapter in one command."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from service.cli.dataset_options import DatasetArgument, LabelsOption, MapFileOption, SeedOption
from service.cli.engine_choice import EngineOption
from service.cli.exits import ExitCode
from service.cli.finetune_train import (
    BaseOption,
    EpochsOption,
    MergerOption,
    NameOption,
    PatienceOption,
    PolicyOption,
    QuantizeOption,
    RankOption,
    RateOption,
    RevisionOption,
    ServeOnOption,
    StepOption,
    TokensOption,
)
from service.cli.options import ConfigOption, output_console

PREPARED, ADAPTER = "prepared", "adapter"
_MANIFEST = "manifest.json"


def run(
    dataset: DatasetArgument,
    config: ConfigOption = None,
    *,
    policy: PolicyOption,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help=f"The folder for {PREPARED}/ and {ADAPTER}/; the same command goes on in it.",
            show_default=False,
        ),
    ],
    base: BaseOption = None,
    revision: RevisionOption = None,
    engine: EngineOption = None,
    name: NameOption = None,
    serve_on: ServeOnOption = None,
    label: LabelsOption = None,
    map_file: MapFileOption = None,
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
    """Prepare the data, train an adapter, measure it with the engine, and fit its calibration.

    Each step is the command of its name, in a process of its own: a model that was trained leaves the card's memory to
    the engine that measures it. Prepared data that is there already is kept. After an interruption the same command
    goes on.

    [bold]Examples[/]

      modstream finetune run labels.csv --policy policy.yaml --base Qwen/Qwen3-VL-8B-Instruct --out shop

    [bold]Exit codes[/]  0 done, whatever the figures · else that of the step that failed
    """
    prepared, adapter = out / PREPARED, out / ADAPTER
    common = [*_option("--config", config)]
    trained_by = [*common, *_option("--engine", engine)]
    if not (prepared / _MANIFEST).is_file():
        mapped = [*_options("--map", label), *_option("--map-file", map_file)]
        _step(
            "prepare",
            dataset,
            *_option("--policy", policy),
            *_option("--out", prepared),
            *common,
            *mapped,
            *_seed(seed),
        )
    learning = {
        "--base": base,
        "--revision": revision,
        "--name": name or out.resolve().name,
        "--epochs": epochs,
        "--learning-rate": learning_rate,
        "--rank": rank,
        "--images-a-step": images_a_step,
        "--patience": patience,
        "--tokens-a-pass": tokens_a_pass,
        "--quantize": quantize,
    }
    options = [text for option, value in learning.items() for text in _option(option, value)]
    options += [*_options("--serve-on", serve_on), *(["--merger"] if merger else []), *_seed(seed)]
    _step("train", prepared, *_option("--out", adapter), *trained_by, *options)
    _step("evaluate", adapter, prepared, *_option("--policy", policy), *trained_by)


def _step(command: Literal["prepare", "train", "evaluate"], *arguments: object) -> None:
    """Run a step, and end the command if it fails."""
    output_console().print(f"[bold]modstream finetune {command}[/]")
    program = [sys.executable, "-m", "service", "finetune", command, *map(str, arguments)]
    process = subprocess.Popen(program)  # noqa: S603 - this program, with the arguments that it got itself
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            continue  # the terminal sent it to the step as well, which ends in good order
        break
    if code != ExitCode.OK:
        raise typer.Exit(code if code > 0 else ExitCode.FAILED)


def _seed(seed: int) -> Sequence[str]:
    return ("--seed", str(seed))


def _option(name: str, value: object) -> Iterator[str]:
    if value is not None:
        yield from (name, str(value))


def _options(name: str, values: Sequence[str] | None) -> Iterator[str]:
    for value in values or ():
        yield from (name, value)
