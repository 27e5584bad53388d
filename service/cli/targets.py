"""The files, folders and URLs of a command, checked before it starts."""

from collections.abc import Sequence

from pydantic import ValidationError

from schemas.image_uploaded import ImageByUrlV1
from service.cli.exits import ExitCode
from service.cli.options import error_console, fail, plain
from service.client.upload_events import FoundUploads, Unusable, UploadOptions, event_of, find_uploads
from service.core.validation_text import placed_text_of
from service.telemetry.plain_text import one_line


def uploads_or_exit(targets: Sequence[str], options: UploadOptions) -> FoundUploads:
    """Return the images, after a line for each that cannot be used.

    Ends the command if none can be used, or if the contract refuses what is to go with them.
    """
    try:
        event_of("check", ImageByUrlV1(url="check"), options)
    except ValidationError as error:
        raise fail(_contract_says(error), code=ExitCode.USAGE) from None
    found = find_uploads(targets)
    for each in found.unusable:
        leave_out(each)
    if not found.uploads:
        named = ", ".join(one_line(target) or "''" for target in targets)
        raise fail(f"none of {named} is an image that can be used", code=ExitCode.USAGE)
    return found


def leave_out(unusable: Unusable) -> None:
    """Print that a file is left out, and the reason."""
    error_console().print(f"[yellow]left out:[/] {plain(str(unusable))}", highlight=False)


def left_out_in_words(count: int) -> str:
    """Return the end of a command's last line; empty if nothing was left out."""
    return f"; {count} left out" if count else ""


def _contract_says(error: ValidationError) -> str:
    """Return which fields of an event break the contract, and how."""
    return "; ".join(map(placed_text_of, error.errors(include_input=False)))
