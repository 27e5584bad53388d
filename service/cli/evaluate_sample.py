"""`modstream evaluate sample` and `estimate`: what people label, and what their labels say of all decisions."""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from service.cli.as_json import as_json
from service.cli.evaluate_files import write_or_exit
from service.cli.exits import ExitCode
from service.cli.options import ConfigOption, errors_shown, fail, output_console, warn
from service.cli.verdict_options import ArchiveOption, SinceOption, VerdictsOption, since_moment, verdict_source

if TYPE_CHECKING:
    from service.tools.evaluation.sampling.sample import SampleDesign

CategoryOption = Annotated[
    list[str] | None, typer.Option(help="A category of a policy's own that labels may name; may be repeated.")
]

MIN_CONFIDENCE, MAX_CONFIDENCE = 0.5, 0.999
"""Below, an interval says next to nothing; above, it is as wide as all that is possible."""

_MAX_BANDS = 20


def sample(
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="CSV file to label; it must not exist.", show_default=False)
    ],
    config: ConfigOption = None,
    *,
    size: Annotated[int, typer.Option(min=2, max=100_000, help="Images to draw.")] = 500,
    by: Annotated[
        str,
        typer.Option(metavar="LIST", help="What splits the images: category, band (of the score), tenant, decision."),
    ] = "category,band",
    bands: Annotated[str, typer.Option(metavar="LIST", help="Scores between bands.")] = "0.05,0.2,0.5,0.8",
    seed: Annotated[int, typer.Option(help="Another seed draws other images.")] = 0,
    allowed_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Least share that is drawn from what was allowed.")
    ] = 0.4,
    archive: ArchiveOption = None,
    verdicts: VerdictsOption = None,
    since: SinceOption = None,
) -> None:
    """Draw images from stored verdicts, for people to label.

    The sample is stratified: images that are rare, such as those with a high score, are drawn more often than others.
    The file has the probability of each. 'modstream evaluate estimate' corrects for it; figures that are counted in
    the file without it are wrong. Each image counts once, with its newest verdict.

    Write into the column 'labels' all categories that an image shows, separated by spaces; 'none' if it shows none;
    'skip' if it could not be looked at. Leave every other column as it is. The rows are in a random order: if time runs
    out, the first ones are a sample too.

    With --allowed-share 0 nothing is drawn that was allowed. The harm among it then stays unknown, and recall with it.

    [bold]Examples[/]

      modstream evaluate sample --archive verdicts/ --since 30d --out to-label.csv

      modstream evaluate sample --size 2000 --by category,band,tenant --seed 7 --out to-label.csv

    [bold]Exit codes[/]  0 drawn · 1 there is nothing to draw from, or the size is too small for so many strata ·
    2 wrong arguments or settings
    """
    from service.tools.evaluation.sampling.label_sheet import sheet_text  # noqa: PLC0415 - the help need not load it
    from service.tools.evaluation.sampling.sample import Population  # noqa: PLC0415 - loads DuckDB
    from service.tools.evaluation.stored.stored_verdicts import opened_verdicts  # noqa: PLC0415 - as above

    design = _design(by, bands)
    if out.is_file():
        raise fail(f"{out} exists, and may hold labels: give --out another name", code=ExitCode.USAGE)
    moment, source = since_moment(since), verdict_source(archive, verdicts, config)
    with errors_shown(), opened_verdicts(source, since=moment) as connection:
        population = Population(connection, design)
        drawn = population.draw(size=size, seed=seed, allowed_share=allowed_share)
    write_or_exit(out, sheet_text(drawn))
    allowed = sum(image.decision == "allow" for image in drawn)
    strata = len({image.stratum for image in drawn})
    output_console().print(
        f"{len(drawn):,} of {population.images:,} images drawn from {strata} strata, {allowed:,} of them were allowed",
    )
    if not allowed:
        warn("nothing that was allowed is in the sample: recall and prevalence stay unknown")


def estimate(
    labelled: Annotated[
        Path, typer.Argument(metavar="LABELLED.csv", help="A sample with its labels.", exists=True, dir_okay=False)
    ],
    *,
    category: CategoryOption = None,
    confidence: Annotated[float, typer.Option(min=MIN_CONFIDENCE, max=MAX_CONFIDENCE, help="Of the intervals.")] = 0.95,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all figures as JSON.")] = None,
) -> None:
    """Estimate from a labelled sample how often all stored decisions are right.

    Each labelled image counts for those of its stratum that were not drawn. Prevalence is the share of all images that
    show a category, precision the share of those flagged for it that show it, recall the share of those that show it
    which were flagged for it, and missed the share of those that show it which were allowed.

    Intervals hold where no missed image was drawn: a sample without one does not prove that there is none.

    [bold]Examples[/]

      modstream evaluate estimate labelled.csv

      modstream evaluate estimate labelled.csv --category rival_brand --json figures.json

    [bold]Exit codes[/]  0 estimated · 1 the file is not a labelled sample, or has too few labels · 2 wrong arguments
    """
    from service.cli.evaluate_estimate_table import print_estimate  # noqa: PLC0415 - the help need not load it
    from service.tools.evaluation.sampling.estimate import estimate as estimated  # noqa: PLC0415 - loads NumPy and SciPy
    from service.tools.evaluation.sampling.labelled_sheet import read_sheet  # noqa: PLC0415 - as above

    with errors_shown():
        found = estimated(read_sheet(labelled, category or ()), labelled, confidence)
    if json is not None:
        write_or_exit(json, as_json(found) + "\n")
    print_estimate(found)


def _design(by: str, bands: str) -> "SampleDesign":
    """Return what splits the images; end the command for what is none."""
    from service.tools.evaluation.sampling.sample import Dimension, SampleDesign  # noqa: PLC0415 - loads DuckDB

    known = get_args(Dimension)
    names = [name.strip() for name in by.split(",") if name.strip()]
    if wrong := [name for name in names if name not in known]:
        raise fail(f"--by {wrong[0]}: images are split by {', '.join(known)}", code=ExitCode.USAGE)
    try:
        edges = tuple(float(edge) for edge in bands.split(","))
    except ValueError:
        edges = ()
    ascends = all(low < high for low, high in pairwise((0.0, *edges, 1.0)))
    if not edges or len(edges) > _MAX_BANDS or not ascends:
        detail = f"bands are at most {_MAX_BANDS} ascending scores between 0 and 1, as in 0.05,0.2,0.5"
        raise fail(f"--bands {bands}: {detail}", code=ExitCode.USAGE)
    return SampleDesign(frozenset(name for name in known if name in names), edges)
