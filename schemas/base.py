"""What every message of the contract has in common."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

Decision = Literal["allow", "review", "block"]
Task = Literal["moderation", "tags"]

Score = Annotated[float, Field(ge=0.0, le=1.0)]

# An id is also a CloudEvents attribute and a log field, so the characters that CloudEvents forbids are no part of it.
Identifier = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\u0000-\u001f\u007f-\u009f]+$")]

_RFC3339 = re.compile(
    "([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:)([0-9]{2})(?:[.][0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)


def _no_time() -> PydanticCustomError:
    return PydanticCustomError("rfc3339", "Input should be a time as in RFC 3339, such as 2026-03-01T12:00:00Z")


def _refuse_other_notations(value: object) -> object:
    """Pydantic also reads numbers and shortened forms; the published format is RFC 3339 and no more."""
    if isinstance(value, datetime):
        return value
    found = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise _no_time()
    minute, second, zone = found.groups()
    return _leap_second(minute, zone) if second == "60" else value


def _leap_second(minute: str, zone: str | None) -> datetime:
    """Return the last moment before a leap second ends, which Python's clock does not know; it ends a day in UTC."""
    try:
        moment = datetime.fromisoformat(f"{minute}59.999999{zone or ''}".upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _no_time() from None
    if zone is None or (moment.hour, moment.minute) != (23, 59):
        raise _no_time()
    return moment


def _to_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("year_out_of_range", "Input should lie in the years 1 to 9999 in UTC") from None


UtcTime = Annotated[AwareDatetime, BeforeValidator(_refuse_other_notations), AfterValidator(_to_utc)]


class Message(BaseModel):
    """A frozen part of a message; unknown fields are accepted and dropped, so that writers may be newer.

    What is written always holds every field, so that readers need not distinguish missing from null.
    """

    model_config = ConfigDict(
        frozen=True, extra="ignore", allow_inf_nan=False, json_schema_serialization_defaults_required=True
    )


def now_utc() -> datetime:
    """Return the present moment with its time zone, UTC."""
    return datetime.now(UTC)
