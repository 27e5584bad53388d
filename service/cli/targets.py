"""What commands are asked to do something with: files, folders and URLs, checked before anything is begun."""

from collections.abc import Sequence

from pydantic import ValidationError

from schemas.image_uploaded import ImageByUrlV1
from service.cli.exits import ExitCode
from service.cli.options import fail
from service.uploads import Upload, UploadOptions, UploadTargetError, event_of, uploads_of


def uploads_or_exit(targets: Sequence[str], options: UploadOptions) -> list[Upload]:
    """Return the images, or end the command if one cannot be had or the contract refuses what is to go with them."""
    try:
        uploads = list(uploads_of(targets))
        event_of("check", ImageByUrlV1(url="check"), options)
    except UploadTargetError as error:
        raise fail(str(error), code=ExitCode.USAGE) from None
    except ValidationError as error:
        raise fail(_contract_says(error), code=ExitCode.USAGE) from None
    return uploads


def _contract_says(error: ValidationError) -> str:
    """Return which fields of an event break the contract, and how."""
    faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_input=False)]
    return "; ".join(faults)
