"""`modstream thresholds`: solves a policy's thresholds from labelled images."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.dataset_options import (
    LabelsOption,
    MapFileOption,
    OptionalDatasetArgument,
    PredictionsOption,
    ResumeOption,
    SeedOption,
    SplitOption,
)
from service.cli.engine_choice import EngineOption, with_engine
from service.cli.exits import ExitCode
from service.cli.options import ConfigOption, errors_shown, fail, load_or_exit
from service.cli.verdict_options import SinceOption, VerdictsOption, since_moment, verdict_source

if TYPE_CHECKING:
    from service.tools.evaluation.thresholds.costs import Prices
    from service.tools.evaluation.thresholds.target import Target

_COSTS = "Lowest bill"
_CHEAPER = "A cheaper first pass"


def thresholds(
    dataset: OptionalDatasetArgument = None,
    config: ConfigOption = None,
    *,
    target: Annotated[
        list[str] | None,
        typer.Option(metavar="TARGET", help="Such as weapons.precision>=0.98; may be repeated. Or give --costs."),
    ] = None,
    first_pass_recall: Annotated[
        float | None,
        typer.Option(
            min=0.5,
            max=0.9999,
            rich_help_panel=_CHEAPER,
            help="Share of the images that the full pass does not allow which the first pass sends on, such as 0.99.",
        ),
    ] = None,
    clear_child_safety: Annotated[
        bool,
        typer.Option(
            "--clear-child-safety",
            rich_help_panel=_CHEAPER,
            help="Let the first pass clear images of child_safety too; without it, it can clear none.",
        ),
    ] = False,
    archive: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            rich_help_panel=_CHEAPER,
            help="Take stored verdicts in place of DATASET: folder or s3://bucket/prefix of 'modstream archive'.",
        ),
    ] = None,
    verdicts: VerdictsOption = None,
    since: SinceOption = None,
    confidence: Annotated[
        float | None,
        typer.Option(
            min=0.5,
            max=0.9999,
            help="With which the true precision or recall reaches its target. Default: 0.99; for a first pass 0.95.",
        ),
    ] = None,
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
    """Solve a policy's thresholds for targets such as a precision of 0.98, the lowest bill, or a first pass.

    A target is CATEGORY.precision>=SHARE or CATEGORY.recall>=SHARE. Precision is about the threshold for block and
    recall about the one for review, as far as the policy has both; weapons.review.precision>=0.9 names one. A threshold
    counts if the lower limit of what it keeps reaches the target, and is tried on 100 held-out halves. If the images
    cannot support a target, the command says how many more labels would. The engine of the settings judges the images.

    --costs gives the thresholds with the lowest bill: false_allow is the price of a harmful image that is allowed,
    false_block that of a harmless one that is blocked. The bill is that of images like the dataset's.

    --first-pass-recall gives clear_below of the policy's first pass: below which scores it clears an image, so that
    at most 1 in 100 of the images that the full pass does not allow is cleared at 0.99. Half of the images choose it,
    and the loss is stated from the other half. Labels have no part in it. The policy's clear_below has to be 0 for
    every category, so that both passes judge every image. --archive or --verdicts takes verdicts that such a policy
    has made already, in place of DATASET.

    The policy that is written has a new version and a comment above each new threshold; the rest of its text is as it
    was. Compare both with 'modstream backtest' before you serve it.

    [bold]Examples[/]

      modstream thresholds labels.csv --target 'weapons.precision>=0.98' --target 'violence.recall>=0.9' -o new.yaml

      modstream thresholds labels.csv --first-pass-recall 0.99 --clear-child-safety -o new.yaml

      modstream thresholds --archive s3://bucket/modstream --since 7d --first-pass-recall 0.99 --clear-child-safety

      modstream thresholds labels.csv --costs false_allow=50,false_block=2,review_minute=0.6 --images-a-month 3000000

    [bold]Exit codes[/]  0 solved · 1 a target is not supported, or the dataset cannot be used · 2 wrong arguments or
    settings
    """
    from service.cli.evaluate_run import Asked  # noqa: PLC0415 - the help need not load it
    from service.cli.thresholds_first_pass import FirstPassOptions, shown_first_pass  # noqa: PLC0415 - as above
    from service.cli.thresholds_run import (  # noqa: PLC0415 - as above
        CommonOptions,
        Files,
        ThresholdOptions,
        shown_solution,
        write_files,
    )

    if [bool(target), bool(costs), first_pass_recall is not None].count(True) != 1:
        detail = "give --target, once or more, or --costs, or --first-pass-recall: one of the three"
        raise fail(detail, code=ExitCode.USAGE)
    images = _images(dataset, stored=archive is not None or verdicts is not None, is_first_pass=not (target or costs))
    targets, prices = _targets(target), _prices(costs, review_seconds)
    loaded = load_or_exit(config)
    with errors_shown():
        loaded = replace(loaded, settings=with_engine(loaded.settings, engine))
        asked = Asked(images, label or (), map_file, split, policy or loaded.settings.policy.default, ())
        common = CommonOptions(asked, version, predictions, confidence, resume=resume, seed=seed)
        files = Files(output, report, json)
        if first_pass_recall is not None:
            first_pass = FirstPassOptions(
                common,
                first_pass_recall,
                clears_child_safety=clear_child_safety,
                stored=(verdict_source(archive, verdicts, config), since_moment(since)) if dataset is None else None,
            )
            found = shown_first_pass(loaded, first_pass, output)
        else:
            found = shown_solution(loaded, ThresholdOptions(common, targets, prices, images_a_month), output)
    write_files(found, files)


def _images(dataset: Path | None, *, stored: bool, is_first_pass: bool) -> Path:
    """Return the dataset; an empty path where stored verdicts take its place, which only a first pass allows."""
    if dataset is None and not (stored and is_first_pass):
        ways = "DATASET, --archive or --verdicts: name one" if is_first_pass else "DATASET: name the labelled images"
        raise fail(ways, code=ExitCode.USAGE)
    if dataset is not None and stored:
        raise fail("DATASET and stored verdicts are two sources: give one of them", code=ExitCode.USAGE)
    return dataset or Path()


def _targets(texts: "Sequence[str] | None") -> "Sequence[Target]":
    from service.tools.evaluation.thresholds.target import Target  # noqa: PLC0415 - the help need not load it

    try:
        return [Target.parse(text) for text in texts or ()]
    except ValueError as error:
        raise fail(f"--target: {error}", code=ExitCode.USAGE) from None


def _prices(text: str | None, review_seconds: float) -> "Prices | None":
    from service.tools.evaluation.thresholds.costs import Prices  # noqa: PLC0415 - the help need not load it

    try:
        return Prices.parse(text, review_seconds=review_seconds) if text else None
    except ValueError as error:
        raise fail(f"--costs: {error}", code=ExitCode.USAGE) from None
