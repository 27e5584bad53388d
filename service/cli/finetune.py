"""`modstream finetune`: labelled images become an adapter for a model."""

from pathlib import Path
from typing import Annotated

import typer

from service.cli.dataset_options import LabelsOption, MapFileOption, SeedOption
from service.cli.finetune_run import run
from service.cli.finetune_train import evaluate, plan, train
from service.cli.options import ConfigOption, errors_shown, load_or_exit

app = typer.Typer(
    no_args_is_help=True,
    help="""Teach a model new categories, by labelled images.

    [bold]Use it like this[/]

      modstream finetune reviews --out reviews.jsonl               what people decided, from the topic

      modstream finetune prepare DATASET --policy FILE --out FOLDER  the data to train on

      modstream finetune plan                                      which model your card can train

      modstream finetune train PREPARED --base MODEL --out ADAPTER  the adapter

      modstream finetune evaluate ADAPTER PREPARED --policy FILE     its figures and its calibration

      modstream finetune run DATASET --policy FILE --out FOLDER      all of it, one after the other
    """,
)


@app.callback()
def finetune() -> None:
    """Teach a model new categories."""


@app.command()
def prepare(
    dataset: Annotated[
        Path,
        typer.Argument(
            metavar="DATASET",
            help="Reviews (.jsonl, .parquet), or labelled images as 'modstream evaluate' takes them.",
            show_default=False,
        ),
    ],
    config: ConfigOption = None,
    *,
    policy: Annotated[
        Path, typer.Option(metavar="FILE", help="The policy whose questions are taught.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="The folder of prepared data; it is made.", show_default=False)
    ],
    label: LabelsOption = None,
    map_file: MapFileOption = None,
    verdicts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Predictions of 'modstream evaluate': what they get wrong is asked about first.",
        ),
    ] = None,
    min_images: Annotated[
        int, typer.Option(min=4, help="Images that each category, and images without harm, have at least.")
    ] = 20,
    group_by: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Images with an equal value in this column stay in one split."),
    ] = None,
    splits_of: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Earlier prepared data; its images stay in their splits."),
    ] = None,
    without_reviewer: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Leave a reviewer's decisions out; may be repeated."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace prepared data in the folder.")] = False,
    seed: SeedOption = 0,
) -> None:
    """Write the questions that the engine asks about labelled images, with their answers, as training data.

    Images are decoded as the service does it. 70 % are for training, 15 % choose when it ends, and 15 % are held out:
    they measure what was learnt, and training never sees them. Near-duplicates stay together. A dataset's own splits
    named train, validation and test are kept.

    DATASET is a file of decisions that people made, a ReviewDecided event a row, or any dataset of 'modstream
    evaluate'. Of several reviewers of an image the majority counts.

    [bold]Examples[/]

      modstream finetune prepare photos/ --policy policy.yaml --out prepared

      modstream finetune prepare reviews.jsonl --policy policy.yaml --out prepared --without-reviewer reviewer-7

      modstream finetune prepare labels.csv --policy policy.yaml --out prepared --map guns=weapons

    [bold]Exit codes[/]  0 written · 1 too few images, or the dataset or folder cannot be used · 2 wrong arguments or
    settings
    """
    from service.cli.finetune_prepare import Asked, prepared, print_prepared  # noqa: PLC0415 - the help need not load it

    settings = load_or_exit(config).settings
    asked = Asked(
        dataset=dataset,
        policy=policy,
        out=out,
        labels=label or (),
        map_file=map_file,
        verdicts=verdicts,
        min_images=min_images,
        group_by=group_by,
        splits_of=splits_of,
        without_reviewers=without_reviewer or (),
        replaces=replace,
        seed=seed,
    )
    with errors_shown():
        found = prepared(settings, asked)
    print_prepared(found, out)


@app.command()
def reviews(
    config: ConfigOption = None,
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The file of JSON lines; one of that name is replaced.")
    ] = Path("reviews.jsonl"),
    topic: Annotated[str, typer.Option(help="The topic of reviews.")] = "images.reviews",
) -> None:
    """Write the reviews that are committed in the topic now, as JSON lines for 'modstream finetune prepare'.

    A record is a ReviewDecided event; others are skipped and counted. No offsets are committed: the next call reads
    everything that the topic still has.

    [bold]Examples[/]

      modstream finetune reviews -c modstream.yaml --out reviews.jsonl

    [bold]Exit codes[/]  0 written · 1 the brokers refuse, or the file cannot be written · 2 wrong arguments or settings
    """
    from service.cli.finetune_reviews import write_reviews  # noqa: PLC0415 - the help need not load it

    write_reviews(load_or_exit(config).settings, topic, out)


app.command()(plan)
app.command()(train)
app.command()(evaluate)
app.command()(run)
