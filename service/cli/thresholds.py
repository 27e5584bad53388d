"""`modstream thresholds`: solves a policy's thresholds from labelled images."""

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
from service.cli.options import ConfigOption, errors_shown, fail, load_or_exit, warn

_COSTS = "Lowest bill"


def thresholds(
    dataset: DatasetArgument,
    config: ConfigOption = None,
    *,
    target: Annotated[
        list[str] | None,
        typer.Option(metavar="TARGET", help="Such as weapons.precision>=0.98; may be repeated. Or give --costs."),
    ] = None,
    confidence: Annotated[
        float, typer.Option(min=0.5, max=0.9999, help="With which the true precision or recall reaches its target.")
    ] = 0.99,
    costs: Annotated[
        str | None,
        typer.Option(
            metavar="PRICES",
            rich_help_panel=_COSTS,
            help="false_allow=…,false_block=…,review_minute=…, in one currency.",
        ),
    ] = None,
    review_seconds: Annotated[
        float, typer.Option(min=0.1, max=3600.0, rich_help_panel=_COSTS, help="Time to review an image.")
    ] = 30.0,
    images_a_month: Annotated[
        int, typer.Option(min=1, max=10**12, rich_help_panel=_COSTS, help="Images that the bill is of.")
    ] = 1_000_000,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the policy with the new thresholds.")
    ] = None,
    version: Annotated[
        str | None,
        typer.Option("--policy-version", metavar="TEXT", help="Of the new policy. Default: the next number."),
    ] = None,
    policy: Annotated[str | None, typer.Option(help="Name of the policy. Default: the setting policy.default.")] = None,
    engine: EngineOption = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a report as one HTML file.")] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write everything found as JSON.")] = None,
    split: SplitOption = None,
    label: LabelsOption = None,
    map_file: MapFileOption = None,
    predictions: PredictionsOption = None,
    resume: ResumeOption = True,
    seed: SeedOption = 0,
) -> None:
    """Solve a policy's thresholds for targets such as a precision of 0.98, or for the lowest bill.

    A target is CATEGORY.precision>=SHARE or CATEGORY.recall>=SHARE. Precision is about the threshold for block and
    recall about the one for review, as far as the policy has both; weapons.review.precision>=0.9 names one. A threshold
    counts if the lower limit of what it keeps reaches the target, and is tried on 100 held-out halves. If the images
    cannot support a target, the command says how many more labels would. The engine of the settings judges the images.

    --costs gives the thresholds with the lowest bill: false_allow is the price of a harmful image that is allowed,
    false_block that of a harmless one that is blocked. The bill is that of images like the dataset's.

    The policy that is written has a new version and a comment above each new threshold; the rest of its text is as it
    was. Compare both with 'modstream backtest' before you serve it.

    [bold]Examples[/]

      modstream thresholds labels.csv --target 'weapons.precision>=0.98' --target 'violence.recall>=0.9' -o new.yaml

      modstream thresholds labels.csv --costs false_allow=50,false_block=2,review_minute=0.6 --images-a-month 3000000

    [bold]Exit codes[/]  0 solved · 1 a target is not supported, or the dataset cannot be used · 2 wrong arguments or
    settings
    """
    from service.cli.evaluate_run import Asked  # noqa: PLC0415 - the help need not load it
    from service.cli.thresholds_run import ThresholdOptions, print_solution, solved  # noqa: PLC0415 - as above
    from service.policy.policy_file import check_policy  # noqa: PLC0415 - as above
    from service.tools.evaluation.thresholds.costs import Prices  # noqa: PLC0415 - as above
    from service.tools.evaluation.thresholds.target import Target  # noqa: PLC0415 - as above

    if bool(target) == bool(costs):
        raise fail("give --target, once or more, or --costs: one of the two", code=ExitCode.USAGE)
    try:
        targets = [Target.parse(text) for text in target or ()]
        prices = Prices.parse(costs, review_seconds=review_seconds) if costs else None
    except ValueError as error:
        raise fail(f"{'--costs' if costs else '--target'}: {error}", code=ExitCode.USAGE) from None
    loaded = load_or_exit(config)
    with errors_shown():
        loaded = replace(loaded, settings=with_engine(loaded.settings, engine))
        options = ThresholdOptions(
            Asked(dataset, label or (), map_file, split, policy or loaded.settings.policy.default, ()),
            targets=targets,
            prices=prices,
            confidence=confidence,
            images_a_month=images_a_month,
            version=version,
            predictions=predictions,
            resume=resume,
            seed=seed,
        )
        result = solved(loaded, options, output)
    print_solution(result)
    if json is not None:
        write_or_exit(json, result.json() + "\n")
    if report is not None and (page := result.report()) is not None:
        write_or_exit(report, page)
    if result.text is None:
        raise typer.Exit(ExitCode.FAILED)
    if output is not None:
        write_or_exit(output, result.text)
        typer.echo(f"{output}: {result.policy_name}, version {result.version}")
        for problem in check_policy(output).problems:  # the text was checked: only a file that it names can be missing
            warn(f"{problem}: copy it from the folder of the policy before")
