"""Reads the splits of an earlier preparation, so that what was held out there stays held out."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from service.core.validation_text import placed_text_of
from service.telemetry.plain_text import one_line
from service.tools.finetuning.examples import LABELS_FILE, MAX_LINE_BYTES, PreparedDataError, Split, open_prepared

_MESSAGE_CHARACTERS = 200


class _Line(BaseModel):
    """What of a line of labels counts here."""

    image: Annotated[str, Field(pattern="^images/[0-9a-f]{2}/[0-9a-f]{64}\\.png$")]
    split: Split


def earlier_splits(folder: Path) -> Mapping[str, Split]:
    """Return the split of each image of prepared data, by the SHA-256 of the uploaded file.

    Raises `PreparedDataError` for a folder that holds none.
    """
    open_prepared(folder)
    path, found, number = folder / LABELS_FILE, dict[str, Split](), 0
    try:
        with path.open("rb") as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                read = _Line.model_validate_json(line)
                found[PurePosixPath(read.image).stem] = read.split
    except OSError as error:
        raise PreparedDataError(place=path, detail=f"the file cannot be read: {error.strerror}") from None
    except ValidationError as error:
        detail = one_line(placed_text_of(error.errors(include_url=False)[0]), at_most=_MESSAGE_CHARACTERS)
        raise PreparedDataError(place=f"{path}, line {number}", detail=detail) from None
    return found
