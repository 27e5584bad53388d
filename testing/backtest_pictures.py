"""Pictures of the backtest's report for the documents: `python -m testing.backtest_pictures --out docs/images`.

They are what headless Chromium draws of the report that the command writes about a synthetic archive.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

from typer.testing import CliRunner

from service.cli.commands import app
from testing.browser import Browser, chromium
from testing.page_pictures import save
from testing.synthetic_backtest import synthetic_backtest

_IMAGES = 180_000
"""About what a shop of middling size has in a week."""


def write_report(folder: Path) -> Path:
    """Run the command, and return its report."""
    found = synthetic_backtest(folder, images=_IMAGES)
    path = folder / "report.html"
    options = ["--policy", found.new, "--baseline", found.old, "--archive", found.archive, "--report", path]
    options += ["--images", found.events]
    environment = {"MODSTREAM_MEDIA__FETCH__FILE_ROOT": str(found.photographs)}
    run = CliRunner().invoke(app, ["backtest", *map(str, options)], env=environment)
    if run.exit_code:
        raise RuntimeError(run.output)
    return path


async def draw(browser: Browser, report: Path, folder: Path) -> None:
    """Write the pictures."""
    for name, fragment, width, height, dark in (
        ("light", "", 1180, 1180, False),
        ("dark", "", 1180, 1180, True),
        ("images", "allow-review", 1180, 900, False),
        ("phone", "", 360, 1500, False),
    ):
        async with browser.page() as page:
            await page.view(width, 800, dark=dark, scale=2 if width < 400 else 1.5)
            await page.open(report.as_uri())
            if fragment:  # alone, as a link of the matrix leads to it
                await page.evaluate(
                    "document.querySelectorAll('header, .intro, .toc, footer, .part').forEach((each) => "
                    f"(each.hidden = each.id !== '{fragment}'))"
                )
            await page.evaluate("document.fonts.ready.then(() => true)")
            await save(page, folder / f"backtest-{name}.webp", height=height)


async def main(folder: Path) -> None:
    """Draw into a folder."""
    with tempfile.TemporaryDirectory() as temporary:
        report = await asyncio.to_thread(write_report, Path(temporary))
        async with chromium() as browser:
            await draw(browser, report, folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="Folder of the pictures")
    asyncio.run(main(parser.parse_args().out))
