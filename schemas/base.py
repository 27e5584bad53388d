"""What every message of the contract has in common."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

Decision = Literal["allow", "review", "block"]
Task = Literal["moderation", "tags"]

Score = Annotated[float, Field(ge=0.0, le=1.0, description="Probability in [0, 1].")]
Identifier = Annotated[str, Field(min_length=1, max_length=256)]
UtcTime = Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]


class Message(BaseModel):
    """A frozen part of a message; unknown fields are accepted and dropped, so that writers may be newer."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants", allow_inf_nan=False)


def now_utc() -> datetime:
    """Return the present moment with its time zone, UTC."""
    return datetime.now(UTC)
