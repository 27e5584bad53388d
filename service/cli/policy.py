"""`modstream policy`: prints the prompts of policies, checks their files, and prints decisions as SQL."""

import json
import shlex
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from service.cli.exits import ExitCode
from service.cli.options import ConfigOption, complain, errors_shown, fail, load_or_exit, warn
from service.cli.policy_review import first_pass_problems, not_looked_for, review, together
from service.cli.policy_sql import sql
from service.cli.policy_text import policy_text
from service.cli.served_policies import check_policies_or_exit
from service.policy.attribute_file import AttributeFile
from service.policy.errors import PolicySettingsError
from service.policy.loader import load_policies
from service.policy.policy import Policy
from service.policy.policy_files import policy_paths

app = typer.Typer(no_args_is_help=True, help="Show the prompts of policies, check policy files, and print them as SQL.")
app.command()(sql)


@app.command()
def show(
    name: Annotated[str | None, typer.Argument(help="Name of a policy. Default: the setting policy.default.")] = None,
    config: ConfigOption = None,
) -> None:
    """Print a policy's thresholds, and its complete prompt for a language model: the text before the image, and
    the questions.

    Engines without a language model, such as the embedded one, use no prompt.

    [bold]Examples[/]

      modstream policy show

      modstream policy show shop -c modstream.yaml

      MODSTREAM_POLICY__PATH=shop.yaml modstream policy show shop

    [bold]Exit codes[/]  0 shown · 1 no such policy · 2 wrong settings, or a policy that cannot be used
    """
    loaded = load_or_exit(config)
    check_policies_or_exit(loaded)
    if name is not None and Path(name).is_file():
        detail = "a policy is named here, and the setting policy.path names its file"
        raise fail(
            f"{name} is a file: {detail}: MODSTREAM_POLICY__PATH={shlex.quote(name)} modstream policy show NAME",
            code=ExitCode.USAGE,
        )
    with errors_shown():
        typer.echo(policy_text(load_policies(loaded.settings.policy).select(name)), nl=False)


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Policy files, or folders of them.")],
    config: ConfigOption = None,
) -> None:
    """Check policy files as the service does at its start, and list every problem with its line.

    Files of one command must not have a name or a tenant twice. A warning names the categories that the engine of the
    settings does not cover, and a first pass that cannot work with its engines; warnings do not change the exit code.

    [bold]Examples[/]

      modstream policy check shop.yaml

      modstream policy check policies/ -c modstream.yaml

    [bold]Exit codes[/]  0 all are right · 1 some are not · 2 wrong arguments or settings
    """
    engine = load_or_exit(config).settings.engine
    paths, problems = _paths_of(files)
    reviews = [review(path) for path in paths]
    for each in reviews:
        if each.summary is not None:
            typer.echo(f"{each.path}: {each.summary}")
    with errors_shown():
        for warning in chain(not_looked_for(reviews, engine), first_pass_problems(reviews, engine)):
            warn(warning)
    problems += [*chain.from_iterable(each.problems for each in reviews), *together(reviews)]
    for problem in problems:
        complain(problem)
    raise typer.Exit(ExitCode.FAILED if problems else ExitCode.OK)


def _paths_of(files: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Return the policies' files, and what is wrong with folders that have none."""
    paths: list[Path] = []
    problems: list[str] = []
    for file in files:
        try:
            paths += policy_paths(file)
        except (PolicySettingsError, OSError) as error:
            problems.append(str(error))
    return paths, problems


@app.command()
def schema(
    *,
    attributes: Annotated[
        bool, typer.Option("--attributes", help="Print the schema of attribute files instead.")
    ] = False,
) -> None:
    """Print the JSON Schema of policy files, for editors.

    [bold]Examples[/]

      modstream policy schema > policy.schema.json

    [bold]Exit codes[/]  0 printed · 2 wrong arguments
    """
    model = AttributeFile if attributes else Policy
    typer.echo(json.dumps(model.model_json_schema(), indent=2))
