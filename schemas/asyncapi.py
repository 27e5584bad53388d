"""The contract as an AsyncAPI 3.0 document: topics, who reads and who writes, messages, headers, examples. Pure."""

from dataclasses import dataclass
from typing import Any, Literal

from schemas.example_files import read_examples
from schemas.headers import cloudevents_headers, dead_letter_headers, notice_headers
from schemas.json_schemas import Schema, shared_definitions
from schemas.registry import (
    AUDIT_V1,
    IMAGE_UPLOADED_V1,
    MESSAGES,
    REVIEW_DECIDED_V1,
    SHADOW_DECISION_V1,
    TAGS_V1,
    VERDICT_V1,
    MessageVersion,
)

# The contract's own version: a new optional field raises the second number, a new version of a message the first.
CONTRACT_VERSION = "1.0.0"
KAFKA_BINDING = "0.5.0"

_ABOUT = """\
An upload service publishes an event for each image; modstream fetches the image, judges it, and publishes a verdict,
and tags where they are wanted. What fails ends as a dead letter with its reason.

Values are JSON. Events follow CloudEvents 1.0: uploads are read in binary mode (ce_ headers), in structured mode
(content-type application/cloudevents+json), and as a bare JSON value without headers; outcomes are written in binary
mode. Unknown fields are accepted in uploads, and readers of outcomes have to accept them too.

The topics' names are modstream's defaults; an operator may have renamed them.
"""

_DEAD_LETTER_VALUE = """\
The value of the record that could not be processed, byte for byte unless modstream-truncated or
modstream-raw says otherwise.
Often it is no valid event.
"""


_TENANT = """\
The tenant that the event names. There is a topic for each that the operator lists (dead_letter.notice_tenants).
"""


@dataclass(frozen=True, slots=True)
class _Topic:
    """A topic and what modstream does with it."""

    channel: str
    operation: str
    address: str
    action: Literal["receive", "send"]
    message: str
    summary: str


_TOPICS = (
    _Topic(
        channel="uploads",
        operation="receiveUploads",
        address="images.uploaded",
        action="receive",
        message=IMAGE_UPLOADED_V1.slug,
        summary="Images that want a verdict, tags, or both.",
    ),
    _Topic(
        channel="verdicts",
        operation="sendVerdicts",
        address="images.verdicts",
        action="send",
        message=VERDICT_V1.slug,
        summary="One verdict for each upload that wants one.",
    ),
    _Topic(
        channel="tags",
        operation="sendTags",
        address="images.tags",
        action="send",
        message=TAGS_V1.slug,
        summary="Tags for each upload that wants them.",
    ),
    _Topic(
        channel="shadowDecisions",
        operation="sendShadowDecisions",
        address="images.verdicts.shadow",
        action="send",
        message=SHADOW_DECISION_V1.slug,
        summary="What policies or an engine on trial would decide. Best effort: records may be missing or come twice,"
        " because they may not hold up a verdict. They are in no transaction with it.",
    ),
    _Topic(
        channel="reviews",
        operation="receiveReviews",
        address="images.reviews",
        action="receive",
        message=REVIEW_DECIDED_V1.slug,
        summary="What people decide about images. The service does not read it: `modstream finetune` does, to teach"
        " models.",
    ),
    _Topic(
        channel="audits",
        operation="sendAudits",
        address="images.verdicts.audit",
        action="send",
        message=AUDIT_V1.slug,
        summary="What the full questions find in a share of the allowed images. Best effort, as shadow decisions are.",
    ),
    _Topic(
        channel="deadLetters",
        operation="sendDeadLetters",
        address="images.uploaded.dead",
        action="send",
        message="dead_letter",
        summary="Uploads that failed, with the reason: whole events of all tenants, for operators alone.",
    ),
    _Topic(
        channel="notices",
        operation="sendNotices",
        address="images.uploaded.dead.notices.{tenant}",
        action="send",
        message="notice",
        summary="Why events of one tenant failed, for its uploaders.",
    ),
)

_KEYS = {
    IMAGE_UPLOADED_V1.slug: "Any bytes or none. Outcomes get the same key; the image_id is a good one.",
    VERDICT_V1.slug: "The upload's key, unchanged.",
    TAGS_V1.slug: "The upload's key, unchanged.",
    SHADOW_DECISION_V1.slug: "The upload's key, unchanged.",
    REVIEW_DECIDED_V1.slug: "Any bytes or none; the image_id is a good one.",
    AUDIT_V1.slug: "The upload's key, unchanged.",
    "dead_letter": "The failed record's key, unchanged.",
    "notice": "The failed record's key; none if that has more than 1,024 bytes.",
}

_EXAMPLE_HEADERS = {
    "modstream-reason": "image.not_found",
    "modstream-message": "The image is not there: the server answers 404",
    "modstream-attempt": "1",
    "modstream-origin-topic": "images.uploaded",
    "modstream-origin-partition": "3",
    "modstream-origin-offset": "1207",
    "modstream-origin-timestamp": "1772366400000",
    "modstream-origin-timestamp-type": "CreateTime",
    "modstream-failed-at": "2026-03-01T12:00:00.412+00:00",
}


def asyncapi_document() -> dict[str, Any]:
    """Return the whole document, ready to be written as YAML."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "modstream",
            "version": CONTRACT_VERSION,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.channel: _channel(topic) for topic in _TOPICS},
        "operations": {topic.operation: _operation(topic) for topic in _TOPICS},
        "components": {
            "messages": {message.slug: _message(message) for message in MESSAGES}
            | {"dead_letter": _dead_letter(), "notice": _notice()},
            "schemas": shared_definitions("#/components/schemas/"),
        },
    }


def _channel(topic: _Topic) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": topic.address,
        "summary": topic.summary,
        "messages": {topic.message: {"$ref": f"#/components/messages/{topic.message}"}},
    }
    if "{tenant}" in topic.address:
        return channel | {"parameters": {"tenant": {"description": _TENANT}}}
    return channel | {"bindings": {"kafka": {"topic": topic.address, "bindingVersion": KAFKA_BINDING}}}


def _operation(topic: _Topic) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "action": topic.action,
        "channel": {"$ref": f"#/channels/{topic.channel}"},
        "summary": topic.summary,
        "messages": [{"$ref": f"#/channels/{topic.channel}/messages/{topic.message}"}],
    }
    if topic.action == "receive":
        group = {"type": "string", "default": "modstream", "description": "Processes with one group id share the work."}
        operation["bindings"] = {"kafka": {"groupId": group, "bindingVersion": KAFKA_BINDING}}
    return operation


def _message(message: MessageVersion) -> dict[str, Any]:
    name = message.model.__name__
    return {
        "name": message.event_type,
        "title": name,
        "summary": (message.model.__doc__ or "").partition("\n")[0],
        "contentType": "application/json",
        "headers": cloudevents_headers(message),
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "bindings": _key_binding(message.slug),
        "examples": [{"name": example, "payload": value} for example, value in read_examples(message).items()],
    }


def _dead_letter() -> dict[str, Any]:
    original = read_examples(IMAGE_UPLOADED_V1)["minimal_by_url"]
    payload: Schema = {"description": _DEAD_LETTER_VALUE}
    return {
        "name": "modstream.dead_letter",
        "title": "DeadLetter",
        "summary": "The original key, value and headers, and beside them why the record failed.",
        "headers": dead_letter_headers(),
        "payload": payload,
        "bindings": _key_binding("dead_letter"),
        "examples": [{"name": "not_found", "headers": _EXAMPLE_HEADERS, "payload": original}],
    }


def _notice() -> dict[str, Any]:
    return {
        "name": "modstream.notice",
        "title": "Notice",
        "summary": "Why a record failed and which one it was, without the event.",
        "headers": notice_headers(),
        "payload": {"type": "null", "description": "There is no value."},
        "bindings": _key_binding("notice"),
        "examples": [{"name": "not_found", "headers": _EXAMPLE_HEADERS, "payload": None}],
    }


def _key_binding(message: str) -> dict[str, Any]:
    return {"kafka": {"key": {"type": "string", "description": _KEYS[message]}, "bindingVersion": KAFKA_BINDING}}
