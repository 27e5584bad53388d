"""Why a policy cannot be written as SQL."""

from service.core.errors import FatalError


class LongColumnError(FatalError):
    """A dialect cuts names of this length off."""

    reason = "evaluation.long_column"
    message = (
        "The column {column} is longer than the {limit} bytes of a name in PostgreSQL: shorten the category's name"
    )
