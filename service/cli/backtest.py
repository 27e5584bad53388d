"""`modstream backtest`: what a policy would have decided about stored verdicts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from service.cli.backtest_text import print_backtest
from service.cli.exits import ExitCode
from service.cli.options import (
    ConfigOption,
    complain,
    error_console,
    errors_shown,
    fail,
    load_or_exit,
    output_console,
    plain,
    warn,
)
from service.cli.policy_sql import policy_or_exit
from service.cli.verdict_options import ArchiveOption, SinceOption, VerdictsOption, since_moment, verdict_source
from service.policy.policy import Policy

if TYPE_CHECKING:
    from service.tools.evaluation.backtest.result import BacktestResult

_REVIEW_SECONDS = 30.0
"""As `service.tools.evaluation.backtest.backtest` has it: an assumption."""

_DEFAULT_EXAMPLES = 12
_MOST_EXAMPLES = 100
"""Of a cell of the matrix; with pictures a report of them has some 3 MB."""


def backtest(
    policy: Annotated[Path, typer.Option("--policy", metavar="FILE", help="The policy to try.", show_default=False)],
    config: ConfigOption = None,
    *,
    baseline: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A policy to compare with. Default: the decisions that were stored."),
    ] = None,
    archive: ArchiveOption = None,
    verdicts: VerdictsOption = None,
    since: SinceOption = None,
    tenant: Annotated[
        list[str] | None,
        typer.Option(help="Only verdicts of this tenant; may be repeated.", rich_help_panel="Which verdicts"),
    ] = None,
    stored_by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="POLICY",
            help="Only verdicts that the policy of this name decided; may be repeated.",
            rich_help_panel="Which verdicts",
        ),
    ] = None,
    review_seconds: Annotated[
        float, typer.Option(min=0.1, help="A person's time for one image in review.")
    ] = _REVIEW_SECONDS,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Write a report with plots and examples.", rich_help_panel="Report"),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(
            metavar="topic|FILE|FOLDER",
            help="Show the images of the examples, blurred until clicked: fetched again as the upload events of the "
            "topic, or of a file of JSON lines, name them, or from the folder that 'modstream try' judged. Default: "
            "none is fetched.",
            rich_help_panel="Report",
        ),
    ] = None,
    examples: Annotated[
        int, typer.Option(min=1, max=_MOST_EXAMPLES, help="Examples of each change.", rich_help_panel="Report")
    ] = _DEFAULT_EXAMPLES,
    gpu: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="For the time that judging images again takes, as in 'modstream engine plan'. Default: H100.",
            rich_help_panel="What needs the model",
        ),
    ] = None,
    gpu_hour: Annotated[
        float | None,
        typer.Option(min=0, help="Price of it for an hour, in USD.", rich_help_panel="What needs the model"),
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(metavar="LIMIT", help="Fail unless this holds, as in 'changed<=2%'; may be repeated."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Show what a policy would change, from scores that are stored already.

    No image is judged again. What changes is shown as a matrix of decisions, by category and by tenant, with the time
    that people need for review, and the images nearest to a threshold. Changes that scores cannot answer are named: a
    new category, another definition or a lower follow-up threshold needs the model; 'modstream replay' has those images
    judged again.

    Figures of --require: changed, stricter, milder, review, blocked, newly_blocked, no_longer_blocked, unanswered, as
    numbers of images, or with % as a share of all.

    [bold]Examples[/]

      modstream backtest --policy new.yaml --since 7d -c modstream.yaml

      modstream backtest --policy new.yaml --archive s3://verdicts --report backtest.html

      modstream backtest --policy new.yaml --baseline old.yaml --verdicts verdicts.jsonl.gz --tenant shop

      modstream backtest --policy new.yaml --archive verdicts/ --require 'changed<=2%' --require 'newly_blocked<=100'

    [bold]Exit codes[/]  0 shown, and every --require holds · 1 one does not, or verdicts cannot be read · 2 wrong
    arguments, settings or policies
    """
    from service.cli import backtest_run as run  # noqa: PLC0415 - its libraries are an extra, and slow to import
    from service.tools.evaluation.backtest.backtest import BacktestQuestion  # noqa: PLC0415 - as above

    if images is not None and report is None:
        raise fail("--images shows images in the report: name its file by --report", code=ExitCode.USAGE)
    if report is not None and not report.parent.is_dir():
        raise fail(f"--report {report}: there is no folder {report.parent}", code=ExitCode.USAGE)
    source, moment = verdict_source(archive, verdicts, config), since_moment(since)
    settings = load_or_exit(config).settings
    new, old = policy_or_exit(policy), policy_or_exit(baseline) if baseline else None
    requirements = run.requirements_or_exit(require or ())
    with errors_shown():
        question = BacktestQuestion(
            new,
            old,
            known_policies=run.known_policies(settings),
            tenants=frozenset(tenant or ()),
            stored_by=frozenset(stored_by or ()),
            calibration_file=run.calibration_file(settings),
            review_seconds=review_seconds,
            examples=examples,
        )
        with _progress("reading") as on_progress:
            result = run.priced_again(run.decided_again(source, moment, question, on_progress), gpu, gpu_hour)
        if report is not None:
            with _progress("images") as on_progress:
                shown = run.pictures(result, settings, images, on_progress) if images else {}
            run.write(report, result, new, shown, source)
    _warn_of_several(result, old)
    checks = [requirement.checked(result) for requirement in requirements]
    if json:
        typer.echo(run.json_text(result, checks))
    else:
        print_backtest(output_console(), result)
        _print_place(report)
    unmet = [check for check in checks if not check.is_met]
    for check in unmet:
        complain(f"--require {check.requirement} does not hold: {check.found}")
    raise typer.Exit(ExitCode.FAILED if unmet else ExitCode.OK)


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show progress on standard error where that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f} of {task.total:,.0f}"))
    console, off = error_console(), not error_console().is_terminal
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True, disable=off) as progress:
        task = progress.add_task(what, total=0)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _warn_of_several(result: "BacktestResult", baseline: Policy | None) -> None:
    """Warn where one policy is compared with the decisions of several, which were for other tenants or uses."""
    names = {each.name for each in result.stored_policies}
    if len(names) > 1 and baseline is None:
        warn(
            f"several policies decided these verdicts; --stored-by compares with one alone: {', '.join(sorted(names))}"
        )


def _print_place(report: Path | None) -> None:
    if report is not None:
        error_console().print(f"report: {plain(str(report))}", highlight=False)
