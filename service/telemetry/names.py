"""Every span, stage and attribute name; of spans after OpenTelemetry's semantic conventions for messaging, 1.44."""

from typing import Literal, get_args

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"

Headers = tuple[tuple[str, bytes], ...]
"""A Kafka record's headers, in order."""

Stage = Literal["fetch", "decode", "engine", "decide", "explain"]
"""What happens to one image, in this order; each is a span and a time in the verdict."""
STAGES: tuple[Stage, ...] = get_args(Stage)

# Times that are no stage: from receipt to the first stage, and from receipt to the verdict.
WAIT = "wait"
TOTAL = "total"

# Operations: a span is named "{operation} {destination}".
PROCESS = "process"
SEND = "send"

MESSAGING_SYSTEM = "messaging.system"
MESSAGING_SYSTEM_KAFKA = "kafka"
MESSAGING_OPERATION_NAME = "messaging.operation.name"
MESSAGING_OPERATION_TYPE = "messaging.operation.type"
MESSAGING_DESTINATION_NAME = "messaging.destination.name"
MESSAGING_DESTINATION_PARTITION_ID = "messaging.destination.partition.id"
MESSAGING_CONSUMER_GROUP_NAME = "messaging.consumer.group.name"
MESSAGING_MESSAGE_ID = "messaging.message.id"
MESSAGING_KAFKA_OFFSET = "messaging.kafka.offset"

ERROR_TYPE = "error.type"
"""The reason code of one of our errors, the class name of any other."""

SERVICE_NAME = "service.name"
SERVICE_VERSION = "service.version"
SERVICE_INSTANCE_ID = "service.instance.id"

SCOPE = "modstream"
"""Whose instruments they are."""

# Labels of metrics, and what those of a fixed set may hold.
OUTCOME = "outcome"
Outcome = Literal["judged", "dead_lettered", "put_off"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
REASON = "reason"
DECISION = "decision"
POLICY = "policy"
CATEGORY = "category"
TENANT = "tenant"
STATUS = "status"
SCHEME = "scheme"
SCHEMES = ("http", "https", "s3", "file", "inline")
KIND = "kind"
EVENT = "event"
STAGE = "stage"
RESULT = "result"
BOUND = "bound"
TOPIC = "topic"
PARTITION = "partition"
STATE = "state"
GPU = "gpu"
VERSION = "version"
ENGINE = "engine"
MODEL = "model"
CURRENCY = "currency"

OTHER = "other"
"""The label of a tenant that has none of its own."""
NONE = "none"
"""The label of a verdict that no category decided."""
