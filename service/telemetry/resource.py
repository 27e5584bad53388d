"""The resource that identifies this process in all telemetry."""

from functools import cache
from typing import TYPE_CHECKING
from uuid import uuid4

from service.telemetry import names

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource


def process_resource(version: str) -> "Resource":
    """Return the resource of this process; imports OpenTelemetry's SDK, which costs memory and start-up time."""
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - see above

    attributes = {
        names.SERVICE_NAME: "modstream",
        names.SERVICE_VERSION: version,
        names.SERVICE_INSTANCE_ID: _instance_id(),
    }
    return Resource.create(attributes, schema_url=names.SCHEMA_URL)


@cache  # traces and metrics of a process name the same one
def _instance_id() -> str:
    return str(uuid4())
