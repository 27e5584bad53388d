"""The Kafka headers around each message, as JSON Schemas: CloudEvents in binary mode, traces, dead letters.

On the wire every header is UTF-8 text, unless its description says otherwise.
"""

from typing import Any

from schemas.json_schemas import Schema
from schemas.registry import REVIEW_DECIDED_V1, MessageVersion

_TRACE = {
    "traceparent": "W3C trace context; the trace goes on in the outcomes.",
    "tracestate": "W3C trace context, the vendors' part.",
}

_DEAD_LETTER = {
    "modstream-reason": "The reason code, such as image.not_found: stable, for programs.",
    "modstream-message": "The reason in words; never holds captions or URLs.",
    "modstream-attempt": "Attempts that were made, as a decimal number.",
    "modstream-origin-topic": "Where the record was read from.",
    "modstream-origin-partition": "Its partition, as a decimal number.",
    "modstream-origin-offset": "Its offset, as a decimal number.",
    "modstream-origin-timestamp": "Its timestamp, milliseconds since 1970 as a decimal number.",
    "modstream-origin-timestamp-type": "Who set it: CreateTime (the producer) or LogAppendTime (the broker).",
    "modstream-failed-at": "When it was given up, RFC 3339 in UTC.",
}

_RARELY = {
    "modstream-truncated": "What was cut or left out so that the record fits (headers, stack, value, key); rare.",
    "modstream-raw": "What the value is where the record could not be read: a record or batch in Kafka's own format.",
    "modstream-raw-offsets": "The offsets that a raw batch spans, first-last; the first's dead letter has its bytes.",
    "modstream-origin-last-offset": "The last offset, where a dead letter stands for several; mostly absent.",
    "modstream-traceparent": "W3C trace context of the attempt that failed; absent where it was not traced.",
}

_REDRIVEN = {
    "modstream-redriven-from": "The dead letter that it was sent back from, topic/partition/offset; mostly absent.",
    "modstream-redriven-at": "When it was sent back last, RFC 3339 in UTC; mostly absent.",
    "modstream-redrives": "How often it was sent back before it failed like this, a decimal number; mostly absent.",
}

_SPRING_AND_CONNECT = {
    "kafka_dlt-original-topic": "As Spring Kafka writes it.",
    "kafka_dlt-original-partition": "As Spring Kafka writes it: 4 bytes, big-endian.",
    "kafka_dlt-original-offset": "As Spring Kafka writes it: 8 bytes, big-endian.",
    "kafka_dlt-original-timestamp": "As Spring Kafka writes it: 8 bytes, big-endian.",
    "kafka_dlt-original-timestamp-type": "As Spring Kafka writes it: CreateTime or LogAppendTime.",
    "kafka_dlt-original-consumer-group": "As Spring Kafka writes it: the group that gave the record up.",
    "kafka_dlt-exception-fqcn": "As Spring Kafka writes it: the kind of the error.",
    "kafka_dlt-exception-cause-fqcn": "As Spring Kafka writes it: the kind of the error's cause; mostly absent.",
    "kafka_dlt-exception-message": "As Spring Kafka writes it.",
    "kafka_dlt-exception-stacktrace": "As Spring Kafka writes it, shortened.",
    "__connect.errors.topic": "As Kafka Connect writes it.",
    "__connect.errors.partition": "As Kafka Connect writes it, a decimal number.",
    "__connect.errors.offset": "As Kafka Connect writes it, a decimal number.",
    "__connect.errors.stage": "As Kafka Connect writes it: VALUE_CONVERTER for what is no event, else TASK_PUT.",
    "__connect.errors.class.name": "As Kafka Connect writes it: what raised the error.",
    "__connect.errors.exception.class.name": "As Kafka Connect writes it.",
    "__connect.errors.exception.message": "As Kafka Connect writes it.",
}


def cloudevents_headers(message: MessageVersion) -> Schema:
    """Return the headers of a message in binary mode; an upload may come without any."""
    required: dict[str, Schema] = {
        "ce_specversion": {"const": "1.0", "description": "The version of CloudEvents."},
        "ce_type": {"const": message.event_type, "description": "Message and version."},
        "ce_id": {"minLength": 1, "description": _id_description(message)},
        "ce_source": {"minLength": 1, "format": "uri-reference", "description": _source_description(message)},
    }
    written: dict[str, Schema] = {
        "ce_subject": {"description": "The image_id."},
        "ce_time": {"format": "date-time", "description": "When it happened, RFC 3339."},
        "content-type": {"const": "application/json", "description": "Of the value."},
    }
    if message.direction == "input":
        written["content-type"] = {"description": "application/json, application/cloudevents+json or none."}
        return _object({**required, **written, **_described(_TRACE)}, required=())
    return _object({**required, **written, **_described(_TRACE)}, required=(*required, *written))


def dead_letter_headers() -> Schema:
    """Return the headers that a dead letter has beside the original ones."""
    return _object(_described(_DEAD_LETTER | _RARELY | _REDRIVEN | _SPRING_AND_CONNECT), required=tuple(_DEAD_LETTER))


def notice_headers() -> Schema:
    """Return the headers of a tenant's notice: those that say why and which record, and none for operators."""
    rarely = {name: text for name, text in _RARELY.items() if name.startswith(("modstream-origin-", "modstream-raw"))}
    return _object(_described(_DEAD_LETTER | rarely | _REDRIVEN), required=tuple(_DEAD_LETTER))


def _id_description(message: MessageVersion) -> str:
    if message.direction == "input":
        return "Names the event, together with ce_source."
    return "Always the same for one source record: a second record with this id is a repeat."


def _source_description(message: MessageVersion) -> str:
    if message.direction == "output":
        return "Who writes: /modstream."
    return f"The {'review tool' if message is REVIEW_DECIDED_V1 else 'uploader'} as a URI reference."


def _described(descriptions: dict[str, str]) -> dict[str, Schema]:
    return {name: {"description": text} for name, text in descriptions.items()}


def _object(properties: dict[str, Schema], *, required: tuple[str, ...]) -> Schema:
    typed: dict[str, Any] = {name: {"type": "string"} | rest for name, rest in properties.items()}
    return {"type": "object", "properties": typed} | ({"required": list(required)} if required else {})
