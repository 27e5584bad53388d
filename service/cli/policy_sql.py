"""`modstream policy sql`: prints a policy's decision as SQL."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from service.cli.exits import ExitCode
from service.cli.options import complain, errors_shown
from service.cli.policy_review import review
from service.policy.policy import Policy

# As `policy_sql.SqlDialect`, whose module imports sqlglot.
Dialect = Literal["duckdb", "spark", "trino", "bigquery", "clickhouse", "postgres"]


def sql(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A policy file.")],
    *,
    dialect: Annotated[Dialect, typer.Option(help="The system that runs the SQL.")] = "duckdb",
    column: Annotated[
        Literal["decision", "deciding_category"], typer.Option(help="What the expression computes.")
    ] = "decision",
) -> None:
    """Print a policy's decision as one SQL expression over the columns of archived verdicts.

    The expression decides exactly as the service does. It stands in a SELECT, WHERE or GROUP BY over a table with the
    columns that 'modstream archive' writes: ambiguous, score_CATEGORY, hint_CATEGORY, and score_2_CATEGORY to
    score_4_CATEGORY for rules that count frames.

    [bold]Examples[/]

      modstream policy sql shop.yaml

      modstream policy sql shop.yaml --dialect bigquery --column deciding_category

    [bold]Exit codes[/]  0 printed · 1 the policy cannot be used, or not in this dialect · 2 wrong arguments
    """
    from service.tools.evaluation.backtest import policy_sql  # noqa: PLC0415 - sqlglot is an extra, and slow to import

    policy = policy_or_exit(file)
    expression = policy_sql.decision if column == "decision" else policy_sql.deciding_category
    with errors_shown():
        typer.echo(policy_sql.sql(expression(policy), dialect))


def policy_or_exit(file: Path) -> Policy:
    """Return the policy of a file, or show every problem with it and exit."""
    found = review(file, with_prompt=False)
    for problem in found.problems:
        complain(problem)
    if found.policy is None or found.problems:
        raise typer.Exit(ExitCode.FAILED)
    return found.policy
