"""`modstream evaluate labelling-page`: the page on which people label a sample."""

from pathlib import Path
from typing import Annotated

import typer

from service.cli.evaluate_files import write_or_exit
from service.cli.evaluate_sample import CategoryOption
from service.cli.options import ConfigOption, errors_shown, load_or_exit, output_console


def labelling_page(
    sampled: Annotated[
        Path, typer.Argument(metavar="SAMPLE.csv", help="What 'evaluate sample' wrote.", exists=True, dir_okay=False)
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The HTML file.", show_default=False)],
    config: ConfigOption = None,
    *,
    images: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|FOLDER|topic",
            help="Put the images into the page: by a file of upload events as JSON lines, from the folder that "
            "'modstream try' judged, or by the topic of uploads.",
        ),
    ] = None,
    category: CategoryOption = None,
) -> None:
    """Make a page on which people label a sample by keyboard or mouse: one file that sends nothing.

    The page shows one image at a time: small, blurred and grey, until the labeller uncovers it. It shows no decision
    and no score, because labellers who know them agree with them too often. It saves the labels as the CSV file that
    'modstream evaluate estimate' reads.

    Without --images it holds no image, and shows the ids. With it, images are fetched and decoded within the limits of
    media.fetch and media.decode; an image whose file has changed since it was judged is left out.

    [bold]Examples[/]

      modstream evaluate labelling-page to-label.csv --out to-label.html

      modstream evaluate labelling-page to-label.csv --images topic -c modstream.yaml --out to-label.html

    [bold]Exit codes[/]  0 written · 1 the sample or the images cannot be read · 2 wrong arguments or settings
    """
    from service.tools.evaluation.sampling.labelled_sheet import read_sheet  # noqa: PLC0415 - as above
    from service.tools.evaluation.sampling.labelling_page import labelling_page as page_of  # noqa: PLC0415 - loads Jinja
    from service.tools.evaluation.sampling.sampled_images import sampled_thumbnails  # noqa: PLC0415 - loads Pillow

    with errors_shown():
        rows = read_sheet(sampled, category or ())
        found = sampled_thumbnails([row.image for row in rows], images, load_or_exit(config).settings) if images else {}
    write_or_exit(out, page_of(rows, categories=category or (), thumbnails=found))
    shown = sum(each.picture is not None for each in found.values())
    output_console().print(f"{len(rows):,} images to label, {shown:,} of them in the page: {out}", soft_wrap=True)
