"""`modstream topics`: the topics that the service reads and writes."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from service.cli.options import ConfigOption, errors_shown, load_or_exit
from service.stream.connection import KafkaConnection
from service.stream.topics import TopicState, check_topics, ensure_topics, required_topics

app = typer.Typer(no_args_is_help=True, help="Create or check the topics that the service reads and writes.")


@app.command()
def create(
    config: ConfigOption = None,
    *,
    partitions: Annotated[
        int, typer.Option(min=1, help="Of each new topic: at most so many processes share the work.")
    ] = 8,
    replication: Annotated[
        int | None, typer.Option(min=1, help="Copies of each new topic; 3, or as many as there are brokers.")
    ] = None,
) -> None:
    """Create the topics that are missing; those that exist are left as they are.

    [bold]Examples[/]

      modstream topics create --config modstream.yaml

      MODSTREAM_TOPICS__UPLOADS=uploads modstream topics create --partitions 64

    [bold]Exit codes[/]  0 all topics exist now · 1 the brokers refuse or do not answer · 2 wrong settings
    """
    settings = load_or_exit(config).settings
    with errors_shown():
        states = asyncio.run(
            ensure_topics(
                KafkaConnection(settings.kafka),
                required_topics(settings),
                partitions=partitions,
                replication_factor=replication,
            )
        )
    Console().print(_table(states))


@app.command()
def check(config: ConfigOption = None) -> None:
    """Tell whether all topics exist, as the service does when it starts.

    [bold]Exit codes[/]  0 all topics exist · 1 one is missing, or no broker answers · 2 wrong settings
    """
    settings = load_or_exit(config).settings
    topics = required_topics(settings)
    with errors_shown():
        asyncio.run(check_topics(KafkaConnection(settings.kafka), topics))
    Console().print(f"all {len(topics)} topics exist: {', '.join(topics.values())}", highlight=False)


def _table(states: Sequence[TopicState]) -> Table:
    table = Table("setting", "topic", "partitions", "", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for state in states:
        table.add_row(state.setting, state.topic, str(state.partitions), "created" if state.created else "was there")
    return table
