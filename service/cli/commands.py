"""The `modstream` command: its subcommands, each imported when it is used."""

from typing import Annotated

import typer

from service.cli.lazy import LazyGroup, Subcommand, add, one_line_paragraphs

SUBCOMMANDS = (
    Subcommand(
        "demo",
        "service.cli.demo:demo",
        "Run the service on an embedded broker, with photographs and broken files, and show the outcomes.",
        "Try it",
    ),
    Subcommand(
        "try",
        "service.cli.try_files:try_files",
        "Judge files without Kafka and without a settings file; nothing is published.",
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
        "Show the effective settings as YAML, without secrets, with the source of each that is not a default.",
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
        "Find out what failed, and send it back once the cause is fixed.",
        "Service",
    ),
    Subcommand(
        "cost",
        "service.cli.cost:cost",
        "Compare the cost of your own GPU with services that charge by the image.",
        "Plan",
    ),
    Subcommand(
        "capacity",
        "service.cli.capacity:capacity",
        "Plan partitions, processes, GPUs, brokers, network and cost for a number of images a day.",
        "Plan",
    ),
    Subcommand("engine", "service.cli.engine:app", "Plan an engine for a GPU, and try an engine on files.", "Plan"),
)

app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # they hold settings, and with them secrets
    context_settings={"help_option_names": ["-h", "--help"]},
    help=one_line_paragraphs("""Read upload events from Kafka, judge their images, and publish verdicts and tags.

    Every record gets exactly one outcome: verdict and tags, or a dead letter.

    [bold]Start here[/]

      modstream demo                                run everything on an embedded broker

      modstream try photo.jpg                       judge a file, without Kafka

      modstream config --defaults > modstream.yaml  settings to start from

      modstream topics create -c modstream.yaml     once for each cluster

      modstream serve -c modstream.yaml             run the service

      modstream send photo.jpg -c modstream.yaml    publish an event

      modstream watch -c modstream.yaml             follow the outcomes

      modstream top -c modstream.yaml               show rates and the bottleneck

    [bold]Exit codes[/]  0 done · 1 failed · 2 wrong arguments or settings · 3 fatal fault of serve,
    nothing is lost · 130 ended by Ctrl-C
    """),
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
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Print the version, or go on to the subcommand."""
