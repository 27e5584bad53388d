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
        "demo-api",
        "service.cli.demo_api:demo_api",
        "Run the HTTP API, send photographs by curl and by OpenAI's client, and show the answers.",
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
        "api",
        "service.cli.api:api",
        "Answer HTTP requests without Kafka, until SIGTERM or Ctrl-C.",
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
        "Show the prompts of policies, check policy files, and print them as SQL.",
        "Service",
    ),
    Subcommand("keys", "service.cli.keys:app", "Make, list and revoke the keys of the HTTP API.", "Service"),
    Subcommand(
        "dead-letters",
        "service.cli.dead_letters:app",
        "Find out what failed, and send it back once the cause is fixed.",
        "Service",
    ),
    Subcommand(
        "evaluate",
        "service.cli.evaluate:app",
        "Measure how good an engine and a policy are, by labelled images.",
        "Decisions",
    ),
    Subcommand(
        "backtest",
        "service.cli.backtest:backtest",
        "Show what a policy would change, from scores that are stored already.",
        "Decisions",
    ),
    Subcommand(
        "calibrate",
        "service.cli.calibrate:calibrate",
        "Fit scores to labelled images, so that they are probabilities, and write the file that the service loads.",
        "Decisions",
    ),
    Subcommand(
        "thresholds",
        "service.cli.thresholds:thresholds",
        "Solve a policy's thresholds for targets such as a precision of 0.98, the lowest bill, or a first pass.",
        "Decisions",
    ),
    Subcommand(
        "finetune",
        "service.cli.finetune:app",
        "Teach a model new categories, by labelled images.",
        "Decisions",
    ),
    Subcommand(
        "archive",
        "service.cli.archive:app",
        "Keep verdicts, tags, dead letters and audits as Parquet files, in a folder or in S3.",
        "Decisions",
    ),
    Subcommand(
        "replay",
        "service.cli.replay:replay",
        "Publish the upload events of images again, so that the service judges them anew.",
        "Decisions",
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
    help=one_line_paragraphs("""Judge images: as a stream of Kafka's records, or over HTTP.

    Every record gets exactly one outcome: verdict and tags, or a dead letter. Every request gets its verdict in the
    answer.

    [bold]Start here[/]

      modstream demo                                everything, on an embedded broker

      modstream demo-api                            run the HTTP API and ask it

      modstream try photo.jpg                       judge a file, without Kafka

      modstream api                                 serve HTTP, without Kafka

      modstream config --defaults > modstream.yaml  settings to start from

      modstream topics create -c modstream.yaml     once for each cluster

      modstream serve -c modstream.yaml             serve the stream

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
