"""Every span, stage and attribute name, after OpenTelemetry's semantic conventions: the one place with their version.

Of the conventions for messaging, HTTP, DNS and generative AI; what they have no name for starts with `modstream.`.
"""

from typing import Literal, get_args

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"

Headers = tuple[tuple[str, bytes], ...]
"""A Kafka record's headers, in order."""

Stage = Literal["fetch", "decode", "engine", "decide", "explain"]
"""What happens to one image, in this order; each is a span and a time in the verdict."""
STAGES: tuple[Stage, ...] = get_args(Stage)

# Times that are no stage: from receipt to the first stage, and from receipt to the verdict.
MODERATE = "moderate"
"""Span of one image within a request."""
WAIT = "wait"
TOTAL = "total"

# Operations: a span is named "{operation} {destination}".
PROCESS = "process"
SEND = "send"
COMMIT = "commit"
SETTLE = "settle"

# Spans beneath the stages. A wait of less than a millisecond makes none.
GET = "GET"
DNS = "dns"
CONNECT = "connect"
WAIT_CONNECTION = "wait connection"
WAIT_DECODER = "wait decoder"
WAIT_ENGINE = "wait engine"
JUDGE_FIRST = "first pass"
CHAT = "chat"

MESSAGING_SYSTEM = "messaging.system"
MESSAGING_SYSTEM_KAFKA = "kafka"
MESSAGING_OPERATION_NAME = "messaging.operation.name"
MESSAGING_OPERATION_TYPE = "messaging.operation.type"
MESSAGING_DESTINATION_NAME = "messaging.destination.name"
MESSAGING_DESTINATION_PARTITION_ID = "messaging.destination.partition.id"
MESSAGING_CONSUMER_GROUP_NAME = "messaging.consumer.group.name"
MESSAGING_MESSAGE_ID = "messaging.message.id"
MESSAGING_BATCH_MESSAGE_COUNT = "messaging.batch.message_count"
MESSAGING_KAFKA_OFFSET = "messaging.kafka.offset"

HTTP_REQUEST_METHOD = "http.request.method"
HTTP_ROUTE = "http.route"
HTTP_RESPONSE_STATUS_CODE = "http.response.status_code"
HTTP_RESPONSE_BODY_SIZE = "http.response.body.size"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
URL_SCHEME = "url.scheme"
DNS_QUESTION_NAME = "dns.question.name"

GEN_AI_OPERATION_NAME = "gen_ai.operation.name"
GEN_AI_PROVIDER_NAME = "gen_ai.provider.name"
GEN_AI_REQUEST_MODEL = "gen_ai.request.model"
GEN_AI_USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"
GEN_AI_USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens"

ERROR_TYPE = "error.type"
"""The reason code of one of our errors, the class name of any other."""

SERVICE_NAME = "service.name"
SERVICE_VERSION = "service.version"
SERVICE_INSTANCE_ID = "service.instance.id"

SCOPE = "modstream"
"""Whose instruments they are."""
ATTEMPT = "modstream.attempt"
"""Which attempt at the record this is, from 1."""
QUEUE_MS = "modstream.queue_ms"
"""Milliseconds from the record's timestamp to its receipt: on the broker, by two machines' clocks."""
RETRY_TOPIC = "modstream.retry_topic"
"""Where the record waited before this attempt; the other coordinates are those of its upload."""
OUTCOME = "modstream.outcome"
"""What became of the attempt: judged, attempt_failed, put_off or dead_lettered; of a commit: committed."""
STATUS = "modstream.status"
DECISION = "modstream.decision"
CATEGORY = "modstream.category"
"""The deciding category, or the one that a question is about."""
POLICY = "modstream.policy"
TENANT = "modstream.tenant"
IMAGE_BYTES = "modstream.image.bytes"
IMAGE_MEDIA_TYPE = "modstream.image.media_type"
QUESTION = "modstream.question"
"""What a model is asked about an image: which, is_it, describe or why."""
ENGINE_STAGE = "modstream.engine.stage"
"""1: the question that is asked about every image. 2: follow-up questions, and what is wanted beyond scores."""
FIRST_OUTCOME = "modstream.first_pass.outcome"
"""What became of the first pass over a picture: cleared, passed_on, skipped or failed."""
LINK = "modstream.link"
"""What a link leads to: the uploader, an earlier_attempt, the commit, or an outcome that a commit published."""

TRACEPARENT = "modstream-traceparent"
"""A Kafka header: the trace context of the attempt that put a record off or made it a dead letter."""
