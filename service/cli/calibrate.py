"""`modstream calibrate`: scores become probabilities, by labelled images."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from service.cli.dataset_options import (
    DatasetArgument,
    LabelsOption,
    MapFileOption,
    PredictionsOption,
    ResumeOption,
    SeedOption,
    SplitOption,
)
from service.cli.engine_choice import EngineOption, with_engine
from service.cli.evaluate_files import write_or_exit
from service.cli.exits import ExitCode
from service.cli.options import ConfigOption, errors_shown, fail, load_or_exit

_NAME = r"[A-Za-z0-9._-]{1,64}"


def calibrate(
    dataset: DatasetArgument,
    config: ConfigOption = None,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The calibration file; one of that name is replaced.")
    ] = Path("calibration.yaml"),
    name: Annotated[str, typer.Option(help="Name of the calibration in verdicts.")] = "calibration",
    version: Annotated[
        str | None, typer.Option("--calibration-version", metavar="TEXT", help="Default: the date and time in UTC.")
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(help="Policies whose prompts are asked; may be repeated. Default: every policy of the settings."),
    ] = None,
    category: Annotated[
        list[str] | None, typer.Option(help="Fail unless this category is calibrated; may be repeated.")
    ] = None,
    engine: EngineOption = None,
    compare_label_prior: Annotated[
        bool,
        typer.Option(
            "--compare-label-prior",
            help="Judge everything under the other engine.judging.label_prior too, and show errors and recall of both.",
        ),
    ] = False,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a report as one HTML file.")] = None,
    split: SplitOption = None,
    label: LabelsOption = None,
    map_file: MapFileOption = None,
    predictions: PredictionsOption = None,
    resume: ResumeOption = True,
    seed: SeedOption = 0,
) -> None:
    """Fit scores to labelled images, so that they are probabilities, and write the file that the service loads.

    The setting policy.calibration names the file. It counts for the engine, prompt and precision of these settings
    alone; with others the service does not start. Each kind of score (a classifier's, a share of the list, an answer
    to a question) gets the best of temperature, Platt's scaling and isotonic regression, by cross-validation. One with
    fewer than 32 different positive or negative images stays as it is, and the file says so.

    Probabilities are those of images like the dataset's: one with more harm than your uploads have gives too high ones.

    [bold]Examples[/]

      modstream calibrate labels.csv -c modstream.yaml

      modstream calibrate photos/ -o calibration.yaml --report calibration.html --category weapons

    [bold]Exit codes[/]  0 written · 1 too few examples, or the dataset cannot be used · 2 wrong arguments or settings
    """
    import re  # noqa: PLC0415 - the help need not load it

    from service.cli.calibrate_run import CalibrationOptions, calibrated, print_calibration  # noqa: PLC0415 - as above
    from service.cli.evaluate_run import Asked  # noqa: PLC0415 - as above

    for option, text in (("--name", name), ("--calibration-version", version or "1")):
        if not re.fullmatch(_NAME, text):
            message = f"{option} {text!r}: up to 64 letters, digits, dots, hyphens and underscores"
            raise fail(message, code=ExitCode.USAGE)
    loaded = load_or_exit(config)
    with errors_shown():
        loaded = replace(loaded, settings=with_engine(loaded.settings, engine))
        asked = Asked(dataset, label or (), map_file, split, None, ())
        options = CalibrationOptions(
            asked,
            policies=policy or (),
            categories=category or (),
            name=name,
            version=version,
            predictions=predictions,
            resume=resume,
            seed=seed,
            compares_label_prior=compare_label_prior,
        )
        result = calibrated(loaded, options)
    write_or_exit(output, result.text)
    print_calibration(result, output)
    if report is not None:
        write_or_exit(report, result.report())
