"""The `modstream` command: its subcommands, each imported when it is used."""

from typing import Annotated

import typer

from service.cli.lazy import LazyGroup, Subcommand, add

SUBCOMMANDS = (
    Subcommand(
        "demo",
        "service.cli.demo:demo",
        "See it work: embedded broker, real service, photographs and broken files in, verdicts out.",
        "Try it",
    ),
    Subcommand(
        "try",
        "service.cli.try_files:try_files",
        "Judge files at once: no Kafka, no settings file, nothing published.",
        "Try it",
    ),
    Subcommand("send", "service.cli.send:send", "Publish an upload event for each image.", "Try it"),
    Subcommand(
        "watch",
        "service.cli.watch:watch",
        "Follow verdicts, tags and dead letters as they are published, until Ctrl-C.",
        "Try it",
    ),
    Subcommand(
        "serve",
        "service.cli.serve:serve",
        "Judge images: read upload events, publish verdicts and tags, until SIGTERM or Ctrl-C.",
        "Service",
    ),
    Subcommand(
        "top",
        "service.cli.top:top",
        "Show rate, lag, window, stages, engine and errors of running processes, until Ctrl-C.",
        "Service",
    ),
    Subcommand(
        "config",
        "service.cli.config:config",
        "Show the effective settings as YAML, secrets hidden, with where each that is no default came from.",
        "Service",
    ),
    Subcommand(
        "topics", "service.cli.topics:app", "Create or check the topics that the service reads and writes.", "Service"
    ),
    Subcommand(
        "policy",
        "service.cli.policy:app",
        "Show the prompts of policies, and check policy files.",
        "Service",
    ),
    Subcommand(
        "dead-letters",
        "service.cli.dead_letters:app",
        "Find out what failed, and send it back once the cause is mended.",
        "Service",
    ),
    Subcommand(
        "cost",
        "service.cli.cost:cost",
        "Compare the cost of an own GPU with services that are paid by the image.",
        "Plan",
    ),
    Subcommand(
        "capacity",
        "service.cli.capacity:capacity",
        "Say what so many images a day need: partitions, processes, GPUs, brokers, network and money.",
        "Plan",
    ),
    Subcommand("engine", "service.cli.engine:app", "Plan and try what judges the images.", "Plan"),
)

app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # they hold settings, and with them secrets
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Image moderation as a stream: upload events in, verdicts and tags out, with exactly one outcome for each
    record: verdict and tags, or a dead letter.

    [bold]Start here[/]

      modstream demo                                see it work, alone

      modstream try photo.jpg                       judge a file at once

      modstream config --defaults > modstream.yaml  settings to start from

      modstream topics create -c modstream.yaml     once for each cluster

      modstream serve -c modstream.yaml             run the service

      modstream send photo.jpg -c modstream.yaml    publish an event

      modstream watch -c modstream.yaml             follow the outcomes

      modstream top -c modstream.yaml               see what limits it

    [bold]Exit codes[/]  0 done · 1 failed · 2 wrong arguments or settings · 3 fatal fault while serving (nothing lost)
    · 130 ended by Ctrl-C
    """,
)
for subcommand in SUBCOMMANDS:
    add(app, subcommand)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - a third of the time that the help takes

        typer.echo(f"modstream {version('modstream')}")
        raise typer.Exit


@app.callback()
def modstream(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Print the version, or go on to the subcommand."""
