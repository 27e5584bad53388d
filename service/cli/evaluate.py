"""`modstream evaluate`: how good an engine and a policy are, by labelled images."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from service.cli.as_json import as_json
from service.cli.default_command import DefaultCommandGroup
from service.cli.engine_choice import EngineOption, with_engine
from service.cli.evaluate_audits import audits
from service.cli.evaluate_compare import compare
from service.cli.evaluate_files import write_or_exit
from service.cli.evaluate_labelling_page import labelling_page
from service.cli.evaluate_sample import estimate, sample
from service.cli.exits import ExitCode
from service.cli.options import ConfigOption, errors_shown, load_or_exit, output_console
from service.settings.load import LoadedSettings

PriceOption = Annotated[
    str | None,
    typer.Option(
        metavar="PRICE",
        help="Price of the machine, as 0.40/hour, or of images, as 1.50/1000. Default: of a CPU, for engine onnx.",
    ),
]
AgainstPriceOption = Annotated[str | None, typer.Option(metavar="PRICE", help="The same, of the other engine.")]

app = typer.Typer(
    cls=DefaultCommandGroup,
    no_args_is_help=True,
    help="""Measure how good an engine and a policy are, by labelled images.

    [bold]Use it like this[/]

      modstream evaluate DATASET          the figures of the settings' engine

      modstream evaluate dataset --help   forms of datasets, and all options

      modstream evaluate compare A B      test whether two engines differ

      modstream evaluate sample           draw stored verdicts, for people to label

      modstream evaluate labelling-page   the page on which they label

      modstream evaluate estimate         what the labels say of all decisions

      modstream evaluate audits ARCHIVE   what is missed among the allowed images
    """,
)


@app.command("dataset")
def evaluate_dataset(
    dataset: Annotated[
        Path, typer.Argument(metavar="DATASET", help="A folder, or a file: .csv, .jsonl, .parquet.", show_default=False)
    ],
    config: ConfigOption = None,
    *,
    engine: EngineOption = None,
    policy: Annotated[
        str | None, typer.Option(help="Name of a policy. Default: each tenant's own, or the setting policy.default.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Evaluate the examples of one split only.")] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="LABEL=CATEGORY", help="A label's category; may be repeated."),
    ] = None,
    map_file: Annotated[Path | None, typer.Option(metavar="FILE", help="YAML file of LABEL: CATEGORY.")] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File of the verdicts, as JSON lines. Default: one below .evaluation/."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--fresh", help="Take verdicts that the file has already, or judge all again.")
    ] = True,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a report with curves and worst errors, as HTML."),
    ] = None,
    pictures: Annotated[
        bool, typer.Option("--images", help="Put small images of the worst errors into the report, blurred.")
    ] = False,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all figures as JSON.")] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(metavar="FIGURE>=NUMBER", help="Fail unless a figure reaches a number; may be repeated."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Settings file of another engine to compare with, or: embedded, tiny."),
    ] = None,
    price: PriceOption = None,
    against_price: AgainstPriceOption = None,
    images_per_day: Annotated[float, typer.Option(min=1, help="Images a day, for the cost.")] = 10_000,
) -> None:
    """Judge labelled images with the engine of the settings, and print how often it is right.

    DATASET is a folder with a sub-folder of images for each category, a folder that Hugging Face's save_to_disk wrote,
    or a CSV file, JSON lines or a Parquet file with the columns image (or url and sha256) and labels. Paths begin at
    the file's folder. Several labels are separated by ';', and none stands for an image without harm. Optional columns:
    labelled (the categories that were looked for), tags, tenant, caption, split, weight. Every further column divides
    the figures into slices.

    A verdict is kept as soon as it is there: the same command goes on after an interruption.

    Figures of --require are CATEGORY.precision, .recall, .f1, .false_positive_rate, .average_precision, .roc_auc,
    .calibration_error; images.exact_match, .recall, .false_positive_rate, .judged_share; tags.ATTRIBUTE.exact,
    .overlap; seconds_an_image. With _low or _high behind the name the end of the 95 % interval counts.

    [bold]Examples[/]

      modstream evaluate photos/ -c modstream.yaml --report report.html

      modstream evaluate labels.csv --map guns=weapons --json figures.json

      modstream evaluate labels.csv --require 'weapons.recall_low>=0.9'

      modstream evaluate labels.csv --against other.yaml --price 0.40/hour --against-price 1.50/1000

    [bold]Exit codes[/]  0 evaluated, and all requirements are met · 1 one is not met, no image was judged, or the
    dataset cannot be used · 2 wrong arguments or settings
    """
    from service.cli.evaluate_against import against_rows, against_table, priced  # noqa: PLC0415 - the help need not load it
    from service.cli.evaluate_page import page_of  # noqa: PLC0415 - as above
    from service.cli.evaluate_price import default_price, parse_price  # noqa: PLC0415 - as above
    from service.cli.evaluate_run import Asked, evaluated, read_question  # noqa: PLC0415 - as above
    from service.cli.evaluate_tables import print_evaluations, print_requirements  # noqa: PLC0415 - as above
    from service.tools.evaluation.quality.requirements import check_requirements  # noqa: PLC0415 - as above

    asked = Asked(dataset, label or (), map_file, split, policy, require or ())
    prices = [parse_price(text) if text else None for text in (price, against_price)]
    with errors_shown():
        loaded = [_with_engine(load_or_exit(config), engine), *([_other(against)] if against else [])]
        questions = [read_question(each, asked) for each in loaded]
        files = (predictions, None)
        results = [evaluated(each, file, resume=resume) for each, file in zip(questions, files, strict=False)]
        checked = [*check_requirements(questions[0].requirements, results[0].evaluation)]
    given = [price or default_price(each.run.engine.kind) for each, price in zip(results, prices, strict=False)]
    first, *others = (
        priced(each.evaluation, price, images_per_day) for each, price in zip(results, given, strict=True)
    )
    rows = against_rows([first, *others], images_per_day)
    print_evaluations(results)
    output_console().print(against_table(rows))
    if report is not None:
        with errors_shown():
            page = page_of(results[0], rows, questions[0].settings.media if pictures else None)
        write_or_exit(report, page)
    if json is not None:
        content = {"evaluation": first.evaluation, "cost": first.cost, "requirements": checked, "against": others}
        write_or_exit(json, as_json(content) + "\n")
    print_requirements(checked)
    raise typer.Exit(ExitCode.OK if all(each.met for each in checked) else ExitCode.FAILED)


def _with_engine(loaded: LoadedSettings, engine: Literal["embedded", "tiny"] | None) -> LoadedSettings:
    return replace(loaded, settings=with_engine(loaded.settings, engine))


def _other(named: str) -> LoadedSettings:
    """Return the settings of the engine to compare with."""
    if named in {"embedded", "tiny"}:
        return _with_engine(load_or_exit(None), "tiny" if named == "tiny" else "embedded")
    return load_or_exit(Path(named))


app.command()(compare)
app.command()(sample)
app.command()(labelling_page)
app.command()(estimate)
app.command()(audits)
