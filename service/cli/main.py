"""The `modstream` command: gathers the subcommands."""

import typer

app = typer.Typer(no_args_is_help=True, help="Image moderation as a stream: uploads in, verdicts and tags out.")


@app.callback()
def _main() -> None:
    """Keep subcommands named even while there is only one."""


def run() -> None:
    """Run the command line."""
    app()
