"""`python -m testing.chaos`: the long run, with a progress task; exit code 1 when the promise is broken."""

import asyncio
import logging
import shutil
import signal
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from testing.chaos.options import INTERRUPTED, options_parser
from testing.chaos.report import repeat_line, table
from testing.chaos.trial import Options, Report, run_trial
from testing.chaos.trial import Progress as ProcessorStatus


def main(arguments: Sequence[str]) -> int:
    """Run, print the table, and say how to repeat it."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it complains at length of a broker that is away
    options = _options(arguments)
    console = Console()
    console.print(f"repeat with: {repeat_line(options)}", soft_wrap=True, highlight=False)
    try:
        report = asyncio.run(_run(options, console))
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("interrupted; broker and workers are gone")
        return INTERRUPTED
    console.print(table(report))
    if report.holds and options.worker == "modstream":
        shutil.rmtree(report.logs)
        return 0
    console.print(f"own exits: {report.own_exits}\nlogs: {report.logs}", highlight=False)
    return 1


async def _run(options: Options, console: Console) -> Report:
    this = asyncio.current_task()
    if this is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("starting", total=options.records)

        def show(status: ProcessorStatus) -> None:
            struck = f"{status.workers} workers, {status.acts.total()} misfortunes"
            progress.update(task, completed=status.finished, description=struck)

        return await run_trial(options, show)


def _options(arguments: Sequence[str]) -> Options:
    defaults = Options()
    parser = options_parser(defaults, prog="python -m testing.chaos", description=__doc__)
    parser.add_argument("--records", type=int, default=defaults.records)
    parser.add_argument("--partitions", type=int, default=defaults.partitions)
    parser.add_argument(
        "--pace",
        dest="records_per_s",
        metavar="RECORDS",
        type=int,
        default=defaults.records_per_s,
        help="records fed a second",
    )
    parser.add_argument("--worker", choices=("modstream", "plain"), default=defaults.worker)
    return Options(**vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
