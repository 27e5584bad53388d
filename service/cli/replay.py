"""`modstream replay`: publishes the upload events of images again; first as a dry run."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn

from service.cli.as_json import as_json
from service.cli.exits import ExitCode
from service.cli.options import ConfigOption, error_console, errors_shown, load_or_exit, output_console, warn
from service.cli.policy_sql import policy_or_exit
from service.cli.verdict_options import ArchiveOption, SinceOption, VerdictsOption, since_moment, verdict_source
from service.policy.calibration import calibration_identity
from service.telemetry.plain_text import one_line
from service.tools.dead_letters.rate_limit import Pace

if TYPE_CHECKING:
    from service.tools.evaluation.backtest.replay import ReplayResult


def replay(
    archive: ArchiveOption = None,
    verdicts: VerdictsOption = None,
    since: SinceOption = None,
    config: ConfigOption = None,
    *,
    policy: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Only images whose scores cannot say what this policy would decide, as in a backtest."
        ),
    ] = None,
    execute: Annotated[
        bool, typer.Option("--execute", help="Do it. Without this option the command prints what it would do.")
    ] = False,
    rate: Annotated[float | None, typer.Option(min=0.01, help="Events a second at most.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="So many images at most.")] = 10_000,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, for scripts.")] = False,
) -> None:
    """Publish the upload events of images again, so that the service judges them anew.

    Without --execute: a dry run. The images are those of the stored verdicts: all of them, or with --policy those that
    the model has to judge before a backtest can answer. Events are read from the topic of uploads as long as the
    brokers hold them; images whose events are gone are counted, and some are named.

    Each event becomes a new upload with a verdict of its own, by the policy that the service has then. A command that
    is interrupted and started again sends the first events twice.

    [bold]Examples[/]

      modstream replay --policy new.yaml --archive archive --since 7d

      modstream replay --policy new.yaml --archive archive --since 7d --rate 20 --execute

      modstream replay --verdicts disputed.jsonl --execute

    [bold]Exit codes[/]  0 all were sent, or would be · 1 some or all were not · 2 wrong arguments or settings
    """
    from service.tools.evaluation.backtest import replay as again  # noqa: PLC0415 - its libraries are an extra

    settings, moment = load_or_exit(config).settings, since_moment(since)
    source = verdict_source(archive, verdicts, config)
    wanted = policy_or_exit(policy) if policy else None
    result = again.ReplayResult()
    with errors_shown(), sent_shown(result):
        calibration = calibration_identity(settings.policy.calibration)
        images = again.stored_images(source, since=moment, policy=wanted, limit=limit, calibration_file=calibration)
        with _progress(len(images)) as on_progress:
            pace = Pace(rate).wait
            asyncio.run(
                again.publish_again(settings, images, result, execute=execute, pace=pace, on_progress=on_progress)
            )
    _print(result, settings.topics.uploads, execute=execute, is_cut=len(images) == limit, json=json)
    raise typer.Exit(ExitCode.FAILED if result.gone else ExitCode.OK)


@contextmanager
def sent_shown(result: "ReplayResult") -> Iterator[None]:
    """Say how many events were sent if the block does not come to its end."""
    try:
        yield
    except BaseException:
        if result.sent:
            warn(f"{result.sent:,} events were sent before this; started again, the command sends them twice")
        raise


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how many images have been looked up."""
    console = error_console()
    with Progress(
        TextColumn("images"),
        BarColumn(),
        TextColumn("{task.completed:,} of {task.total:,}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as shown:
        task = shown.add_task("images", total=total)
        yield lambda done: shown.update(task, completed=done)


def _print(result: "ReplayResult", topic: str, *, execute: bool, is_cut: bool, json: bool) -> None:
    if json:
        typer.echo(as_json(result))
        return
    console = output_console()
    done = (
        f"{result.sent:,} sent to {topic}"
        if execute
        else f"{result.found:,} would be sent to {topic} (dry run: --execute sends them)"
    )
    console.print(f"{result.found + result.gone:,} images: {done}, {result.gone:,} cannot be", markup=False)
    for each in result.examples:
        console.print(f"  {one_line(each.image_id)} of {one_line(each.tenant)}: {one_line(each.why)}", markup=False)
    if result.gone > len(result.examples):
        console.print(f"  … and {result.gone - len(result.examples):,} more", markup=False)
    if is_cut:
        console.print("There may be more images: --limit is reached.")
