"""The demo's result for people and scripts: tables, contact sheet, the last line."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from service.tools.demo.contact_sheet import cards_shown, contact_sheet, thumbnail
from service.tools.demo.run import DemoResult
from service.tools.demo.tables import print_result

# What explains the end of a service is in its last lines.
LOG_LINES = 25


class ConsoleProgress:
    """A progress bar; the name of the step stands before it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("starting", total=None)

    def step(self, text: str) -> None:
        """Say what begins now."""
        self._progress.update(self._task, description=text)

    def answered(self, count: int, total: int) -> None:
        """Update the progress bar."""
        self._progress.update(self._task, description="judging", completed=count, total=total)


@contextmanager
def shown_progress(console: Console) -> Iterator[ConsoleProgress]:
    """Show a progress bar that vanishes at the end; nothing where the output is no terminal."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield ConsoleProgress(progress)


def report(result: DemoResult, sheet: Path, console: Console, *, started_s: float) -> None:
    """Print the result of a demo; `started_s` is on the monotonic clock. The last line is for scripts."""
    _write_sheet(result, sheet, started_s=started_s)
    print_result(console, result.outcomes)
    console.print()
    for each in result.unusable:
        console.print(Text.assemble(("left out: ", "yellow"), str(each)), soft_wrap=True)
    if result.unusable:
        console.print(f"{len(result.samples)} images sent, {len(result.unusable)} left out", highlight=False)
    if result.outcomes.lost:
        console.print(f"[bold red]lost:[/] {', '.join(result.outcomes.lost[:LOG_LINES])}", highlight=False)
    if not result.succeeded:
        show_log(result.service_log, result.service_exit_code, console)
    console.print(f"contact sheet: {sheet}", soft_wrap=True, highlight=False)
    seconds = time.monotonic() - started_s
    console.print(result.outcomes.summary(seconds), soft_wrap=True, highlight=False)


def _write_sheet(result: DemoResult, sheet: Path, *, started_s: float) -> None:
    paths = {sample.key: sample.path for sample in result.samples if sample.path}
    shown = [key for key, _ in cards_shown(result.outcomes) if key in paths]
    # Pillow lets go of the interpreter while it decodes.
    with ThreadPoolExecutor(thread_name_prefix="thumbnail") as pool:
        pictures = dict(zip(shown, pool.map(thumbnail, (paths[key] for key in shown)), strict=True))
    thumbnails = {key: picture for key, picture in pictures.items() if picture}
    page = contact_sheet(result.outcomes, thumbnails, seconds=time.monotonic() - started_s)
    sheet.parent.mkdir(parents=True, exist_ok=True)
    sheet.write_text(page, encoding="utf-8")


def show_log(log: Path, exit_code: int | None, console: Console) -> None:
    """Print the end of the service's log."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
    console.print(f"[bold red]the service ended with {exit_code}; the end of its log:[/]")
    for line in lines:
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"its log: {log}", soft_wrap=True, highlight=False)
