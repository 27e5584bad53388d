"""`modstream demo-api`: the HTTP API on this machine, asked by curl and by OpenAI's client."""

import asyncio
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from service.cli.demo import run_folder
from service.cli.exits import ExitCode
from service.cli.options import errors_shown, fail
from service.tools.demo.processes import DemoFailedError, process_age_s


def demo_api(
    *,
    keep_running: Annotated[
        bool, typer.Option("--keep-running", help="Go on until Ctrl-C, to try the page and clients of your own.")
    ] = False,
) -> None:
    """Run the HTTP API, send photographs by curl and by OpenAI's client, and show the answers.

    The demo needs no Kafka, no GPU and no network. It starts the API on a free port of this machine and stops it at the
    end. The last line is for scripts: requests, answers, failures, seconds.

    [bold]Examples[/]

      modstream demo-api

      modstream demo-api --keep-running

    [bold]Exit codes[/]  0 every request was answered · 1 some were not, or the demo could not run · 2 usage
    """
    started_s = time.monotonic() - process_age_s()
    console = Console()
    folder = run_folder()
    with errors_shown():
        try:
            succeeded = asyncio.run(_run(folder, console, keep_running=keep_running, started_s=started_s))
        except DemoFailedError as error:
            raise fail(str(error)) from None
        except (KeyboardInterrupt, asyncio.CancelledError):
            console.print("stopped")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
    if succeeded:
        shutil.rmtree(folder)
    raise typer.Exit(ExitCode.OK if succeeded else ExitCode.FAILED)


async def _run(folder: Path, console: Console, *, keep_running: bool, started_s: float) -> bool:
    """Return whether every request was answered and the service ended in order."""
    from service.tools.demo.api_demo import ask_everything  # noqa: PLC0415 - the help need not load it
    from service.tools.demo.api_process import demo_api  # noqa: PLC0415 - as above
    from service.tools.demo.api_report import print_answers, print_page, summary  # noqa: PLC0415 - as above
    from service.tools.demo.report import show_log, shown_progress  # noqa: PLC0415 - as above
    from service.tools.demo.samples import bundled_photographs  # noqa: PLC0415 - as above

    _cancel_on_sigterm()
    with shown_progress(console) as progress:
        progress.step("starting the service")
        async with demo_api(folder) as api:
            answers = await ask_everything(api, bundled_photographs(folder), progress)
            print_answers(console, api, answers)
            print_page(console, api, is_kept=keep_running)
            if keep_running:
                progress.step("running")
                with suppress(asyncio.CancelledError):
                    await api.process.wait()
    code = api.process.returncode
    if code != 0:
        show_log(api.log, code, console)
    console.print(summary(answers, started_s=started_s), soft_wrap=True, highlight=False)
    return not answers.failures and code == 0


def _cancel_on_sigterm() -> None:
    """Stop the service on a supervisor's SIGTERM as well; Ctrl-C cancels already."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
