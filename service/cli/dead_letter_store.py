"""Where the commands of `modstream dead-letters` find the letters."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from service.cli.options import load_or_exit
from service.settings.settings import Settings

if TYPE_CHECKING:
    from service.tools.dead_letters.store import DeadLetterStore


def settings_of(config: Path | None) -> Settings:
    """Return the settings, or end the command over them."""
    return load_or_exit(config).settings


def store_of(context: typer.Context, settings: Settings) -> "DeadLetterStore":
    """Return the store on Kafka, unless the caller of the command brought another."""
    if context.obj is not None:
        store: DeadLetterStore = context.obj
        return store
    from service.tools.dead_letters.store import KafkaDeadLetterStore  # noqa: PLC0415 - the help need not load it

    return KafkaDeadLetterStore(settings)
