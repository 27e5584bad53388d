"""Where the commands of `modstream dead-letters` find the letters."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from service.cli.options import load_or_exit
from service.settings import Settings

if TYPE_CHECKING:
    from service.letters.desk import Desk


def settings_of(config: Path | None) -> Settings:
    """Return the settings, or end the command over them."""
    return load_or_exit(config).settings


def desk_of(context: typer.Context, settings: Settings) -> "Desk":
    """Return the desk on Kafka, unless the caller of the command brought another."""
    if context.obj is not None:
        desk: Desk = context.obj
        return desk
    from service.letters.desk import KafkaDesk  # noqa: PLC0415 - the help need not load it

    return KafkaDesk(settings)
