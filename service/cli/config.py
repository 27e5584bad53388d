"""`modstream config`: what is in force, and what could be."""

import json
from typing import Annotated

import typer

from service.cli.options import ConfigOption, load_or_exit
from service.settings.render import defaults_yaml, effective_yaml, reference_markdown
from service.settings.settings import Settings


def config(
    config: ConfigOption = None,
    *,
    defaults: Annotated[bool, typer.Option("--defaults", help="Print a commented file with every setting.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of the file, for editors.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the reference, as in docs/settings.md.")] = False,
) -> None:
    """Show the effective settings as YAML, without secrets, with the source of each that is not a default.

    [bold]Examples[/]

      modstream config --config modstream.yaml

      modstream config --defaults > modstream.yaml

    [bold]Exit codes[/]  0 the settings are right · 2 they are not: every problem is listed
    """
    if schema:
        typer.echo(json.dumps(Settings.model_json_schema(), indent=2))
    elif markdown:
        typer.echo(reference_markdown(), nl=False)
    elif defaults:
        typer.echo(defaults_yaml(), nl=False)
    else:
        typer.echo(effective_yaml(load_or_exit(config)), nl=False)
