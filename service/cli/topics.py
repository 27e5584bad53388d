"""`modstream topics`: the topics that the service reads and writes."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from service.cli.options import ConfigOption, errors_shown, load_or_exit
from service.settings.settings import Settings
from service.tools.demo.fitted_table import Column, print_table
from service.tools.planning.partitions import EVEN

if TYPE_CHECKING:
    from service.kafka.topics import TopicState

app = typer.Typer(no_args_is_help=True, help="Create or check the topics that the service reads and writes.")


@app.command()
def create(
    config: ConfigOption = None,
    *,
    partitions: Annotated[
        int,
        typer.Option(
            min=1, help="Partitions of each new topic: the largest number of processes that can share the work."
        ),
    ] = EVEN[0],
    replication: Annotated[
        int | None,
        typer.Option(min=1, help="Replicas of each new topic. Default: 3, or fewer if there are fewer brokers."),
    ] = None,
) -> None:
    """Create missing topics. Existing topics are not changed.

    [bold]Examples[/]

      modstream topics create --config modstream.yaml

      MODSTREAM_TOPICS__UPLOADS=uploads modstream topics create --partitions 64

    [bold]Exit codes[/]  0 all topics exist now · 1 the brokers refuse or do not answer · 2 wrong settings
    """
    settings = load_or_exit(config).settings
    with errors_shown():
        states = asyncio.run(_created(settings, partitions=partitions, replication=replication))
    print_table(Console(), _columns(states))


@app.command()
def check(config: ConfigOption = None) -> None:
    """Check that all topics exist, as the service does when it starts, and those of dead letters, shadows and audits.

    `modstream dead-letters` needs the journal and the service does not, so a user without grants on it passes. The
    service starts without the topics of shadows and audits, which it needs where the settings have any.

    [bold]Exit codes[/]  0 all topics exist · 1 one is missing, or no broker answers · 2 wrong settings
    """
    settings = load_or_exit(config).settings
    with errors_shown():
        topics = asyncio.run(_checked(settings))
    Console(soft_wrap=True).print(f"all {len(topics)} topics exist: {', '.join(topics)}", highlight=False)


async def _checked(settings: Settings) -> list[str]:
    """Return the topics that exist; raises the error of the first that does not."""
    from service.delivery.required_topics import background_topics, required_topics  # noqa: PLC0415 - the help need not load it
    from service.kafka.connection import KafkaConnection  # noqa: PLC0415 - as above
    from service.kafka.errors import AccessDeniedError  # noqa: PLC0415 - as above
    from service.kafka.topics import JOURNAL_SETTING, check_topics, journal_topic  # noqa: PLC0415 - as above

    connection, topics = KafkaConnection(settings.kafka), required_topics(settings) | background_topics(settings)
    await check_topics(connection, topics)
    if settings.delivery != "exactly_once":
        return list(topics.values())
    journal = journal_topic(settings.topics)
    try:
        await check_topics(connection, {JOURNAL_SETTING: journal})
    except AccessDeniedError:
        return list(topics.values())
    return [*topics.values(), journal]


async def _created(settings: Settings, *, partitions: int, replication: int | None) -> "list[TopicState]":
    from service.delivery.required_topics import background_topics, required_topics  # noqa: PLC0415 - as above
    from service.kafka.connection import KafkaConnection  # noqa: PLC0415 - the help need not load it
    from service.kafka.topics import ensure_journal, ensure_topics  # noqa: PLC0415 - as above

    connection = KafkaConnection(settings.kafka)
    topics = required_topics(settings) | background_topics(settings)
    states = await ensure_topics(connection, topics, partitions=partitions, replication_factor=replication)
    if settings.delivery == "exactly_once":  # brokers without transactions have no use for a journal
        states.append(await ensure_journal(connection, settings.topics, replication_factor=replication))
    return states


def _columns(states: "Sequence[TopicState]") -> list[Column]:
    return [
        Column("setting", cells=[Text(state.setting) for state in states]),
        Column("topic", folds_at=20, cells=[Text(state.topic) for state in states]),
        Column("partitions", rank=1, cells=[Text(str(state.partitions)) for state in states]),
        Column("", cells=[Text("created" if state.created else "was there") for state in states]),
    ]
