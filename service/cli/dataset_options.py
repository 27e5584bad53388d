"""The options of commands that judge a dataset: what it is, which part of it, and where verdicts are kept."""

from pathlib import Path
from typing import Annotated

import typer

_PANEL = "Which images"

DatasetArgument = Annotated[
    Path,
    typer.Argument(
        metavar="DATASET",
        help="Labelled images, as 'modstream evaluate' takes them: a folder, .csv, .jsonl or .parquet.",
        show_default=False,
    ),
]
OptionalDatasetArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="[DATASET]",
        help="Labelled images, as 'modstream evaluate' takes them: a folder, .csv, .jsonl or .parquet.",
        show_default=False,
    ),
]
SplitOption = Annotated[
    str | None, typer.Option("--split", rich_help_panel=_PANEL, help="Take the examples of one split only.")
]
LabelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map", metavar="LABEL=CATEGORY", rich_help_panel=_PANEL, help="A label's category; may be repeated."
    ),
]
MapFileOption = Annotated[
    Path | None,
    typer.Option("--map-file", metavar="FILE", rich_help_panel=_PANEL, help="YAML file of LABEL: CATEGORY."),
]
PredictionsOption = Annotated[
    Path | None,
    typer.Option(
        "--predictions",
        metavar="FILE",
        rich_help_panel=_PANEL,
        help="File of the verdicts, as JSON lines. Default: the one of 'modstream evaluate', below .evaluation/.",
    ),
]
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume/--fresh",
        rich_help_panel=_PANEL,
        help="Take verdicts that the file has already, or judge all again.",
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Of everything that is drawn.")]
