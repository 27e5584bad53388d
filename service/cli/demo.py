"""`modstream demo`: runs broker, service and uploads on this machine, on photographs."""

import asyncio
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from service.cli.exits import ExitCode
from service.cli.options import errors_shown, fail
from service.tools.demo.processes import DemoFailedError, process_age_s

if TYPE_CHECKING:
    from service.tools.demo.run import DemoResult

# Beside what `make demo` installs; ignored by git and removed by `make clean`.
HOME = Path(".demo")


def demo(
    images: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            resolve_path=True,
            metavar="DIR",
            help="Judge the JPEG, PNG, WebP, GIF and AVIF images of this folder and its sub-folders instead.",
        ),
    ] = None,
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the run's folder: settings, logs and samples.")] = False,
) -> None:
    """Run the service on an embedded broker, with photographs and broken files, and show the outcomes.

    The demo needs no Kafka, no GPU and no network. It starts everything on this machine and stops it at the end.
    The last line is for scripts: events, verdicts, dead letters, lost, duplicated, seconds.

    [bold]Examples[/]

      modstream demo

      modstream demo --images ~/Pictures

    [bold]Exit codes[/]  0 every event had exactly one outcome · 1 some had not, or the demo could not run · 2 usage
    """
    from service.tools.demo.report import report  # noqa: PLC0415 - the help need not load it

    started_s = time.monotonic() - process_age_s()
    console = Console()
    folder = run_folder()
    with errors_shown():
        try:
            result = asyncio.run(_run(images, folder, console))
        except DemoFailedError as error:
            raise fail(str(error)) from None
        except (KeyboardInterrupt, asyncio.CancelledError):
            console.print("stopped")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
    report(result, HOME / "contact-sheet.html", console, started_s=started_s)
    if result.succeeded and not keep:
        shutil.rmtree(folder)
    raise typer.Exit(ExitCode.OK if result.succeeded else ExitCode.FAILED)


def run_folder() -> Path:
    """Make a folder for a run: two demos at a time do not meet."""
    parent = HOME / "run"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), dir=parent))
    except OSError as error:
        message = (
            f"the demo cannot write its run to {Path.cwd() / parent}: {error.strerror}; start it in another folder"
        )
        raise fail(message) from None


async def _run(images: Path | None, folder: Path, console: Console) -> "DemoResult":
    from service.tools.demo.report import shown_progress  # noqa: PLC0415 - the help need not load it
    from service.tools.demo.run import run_demo  # noqa: PLC0415 - as above

    task = asyncio.current_task()
    # Ctrl-C cancels already; a supervisor's SIGTERM must stop broker and service as well.
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with shown_progress(console) as progress:
        return await run_demo(images, folder, progress)
