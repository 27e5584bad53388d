"""The `modstream` command: gathers the subcommands."""

import typer

from service.cli.capacity import capacity
from service.cli.config import config
from service.cli.cost import cost
from service.cli.dead_letters import app as dead_letters
from service.cli.demo import demo
from service.cli.engine import app as engine
from service.cli.policy import app as policy
from service.cli.send import send
from service.cli.serve import serve
from service.cli.top import top
from service.cli.topics import app as topics
from service.cli.watch import watch

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # they hold settings, and with them secrets
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Image moderation as a stream: upload events in, verdicts and tags out, each image judged exactly once.

    [bold]Start here[/]

      modstream demo                                see it work, alone

      modstream config --defaults > modstream.yaml  settings to start from

      modstream topics create -c modstream.yaml     once for each cluster

      modstream serve -c modstream.yaml             run the service

      modstream send photo.jpg -c modstream.yaml    publish an event

      modstream watch -c modstream.yaml             follow the outcomes

      modstream top -c modstream.yaml               see what limits it

    [bold]Exit codes[/]  0 done · 1 failed · 2 wrong arguments or settings · 3 fatal fault while serving (nothing lost)
    """,
)
app.command(rich_help_panel="Try it")(demo)
app.command(rich_help_panel="Try it")(send)
app.command(rich_help_panel="Try it")(watch)
app.command(rich_help_panel="Service")(serve)
app.command(rich_help_panel="Service")(top)
app.command(rich_help_panel="Service")(config)
app.add_typer(topics, name="topics", rich_help_panel="Service")
app.add_typer(policy, name="policy", rich_help_panel="Service")
app.add_typer(dead_letters, name="dead-letters", rich_help_panel="Service")
app.command(rich_help_panel="Plan")(cost)
app.command(rich_help_panel="Plan")(capacity)
app.add_typer(engine, name="engine", rich_help_panel="Plan")


def run() -> None:
    """Run the command line."""
    app()
