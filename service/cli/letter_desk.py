"""Where the commands of `modstream dead-letters` find the letters."""

from pathlib import Path

import typer

from service.cli.options import load_or_exit
from service.letters.desk import Desk, KafkaDesk
from service.settings import Settings


def settings_of(config: Path | None) -> Settings:
    """Return the settings, or end the command over them."""
    return load_or_exit(config).settings


def desk_of(context: typer.Context, settings: Settings) -> Desk:
    """Return the desk on Kafka, unless the caller of the command brought another."""
    desk: Desk = context.obj or KafkaDesk(settings)
    return desk
