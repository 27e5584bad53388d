"""`modstream policy`: what policies tell a language model, and what is wrong with their files."""

import json
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from service.cli.exits import ExitCode
from service.cli.options import ConfigOption, complain, errors_shown, load_or_exit
from service.cli.policy_review import review, together
from service.cli.policy_text import told
from service.policy.attribute_file import AttributeFile
from service.policy.loader import load_policies, policy_paths
from service.policy.policy import Policy

app = typer.Typer(no_args_is_help=True, help="Read what policies tell a language model, and check their files.")


@app.command()
def show(
    name: Annotated[str | None, typer.Argument(help="A policy by name; else the default one.")] = None,
    config: ConfigOption = None,
) -> None:
    """Print exactly what a language model is told because of a policy: the text before the image, and the questions.

    Engines without a language model, such as the embedded one, are told nothing of it.

    [bold]Examples[/]

      modstream policy show

      modstream policy show shop -c modstream.yaml

    [bold]Exit codes[/]  0 shown · 1 no such policy, or one that cannot be used · 2 wrong settings
    """
    settings = load_or_exit(config).settings
    with errors_shown():
        typer.echo(told(load_policies(settings.policy).select(name)), nl=False)


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Policies, or folders of them.")],
) -> None:
    """Check policy files as the service does when it starts, and tell every problem with its line.

    Rules are held against each other once each is right by itself. Files that are named together are checked for going
    together: no name and no tenant twice.

    [bold]Examples[/]

      modstream policy check shop.yaml

      modstream policy check policies/

    [bold]Exit codes[/]  0 all are right · 1 some are not · 2 wrong arguments
    """
    with errors_shown():
        reviews = [review(path) for file in files for path in policy_paths(file)]
    for each in reviews:
        if each.summary is not None:
            typer.echo(f"{each.path}: {each.summary}")
    problems = [*chain.from_iterable(each.problems for each in reviews), *together(reviews)]
    for problem in problems:
        complain(problem)
    raise typer.Exit(ExitCode.FAILED if problems else ExitCode.OK)


@app.command()
def schema(
    *,
    attributes: Annotated[bool, typer.Option("--attributes", help="Of files of attributes instead.")] = False,
) -> None:
    """Print the JSON Schema of policy files, for editors.

    [bold]Examples[/]

      modstream policy schema > policy.schema.json

    [bold]Exit codes[/]  0 printed · 2 wrong arguments
    """
    model = AttributeFile if attributes else Policy
    typer.echo(json.dumps(model.model_json_schema(), indent=2))
