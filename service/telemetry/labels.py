"""Labels of metrics, and the values of those with a fixed set; docs/metrics.md lists the metrics that have them."""

from typing import Literal, get_args

OUTCOME = "outcome"
Outcome = Literal["judged", "dead_lettered", "put_off"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
PassOutcome = Literal["cleared", "passed_on", "skipped", "failed"]
PassKind = Literal["first", "full"]
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
MECHANISM = "mechanism"
MECHANISMS = ("landlock", "seccomp")
GPU = "gpu"
VERSION = "version"
HASH = "hash"
ENGINE = "engine"
MODEL = "model"
CURRENCY = "currency"
CAUSE = "cause"
ROUTE = "route"
CODE = "code"
LOST_OFFSETS = ("topic_recreated", "log_truncated", "records_deleted", "offset_missing")
FEATURE = "feature"
SHADOW = "shadow"
LIVE = "live"
AGREES = "agrees"
PART = "part"
ShadowPart = Literal["policies", "engine", "records", "offer"]
ShadowReason = Literal[
    "cleared", "failed", "no_room", "not_published", "not_ready", "queue_full", "stopped", "timed_out"
]
AuditReason = Literal["failed", "no_room", "not_published", "queue_full", "stopped", "timed_out"]

OTHER = "other"
"""The label of a tenant that has none of its own."""
NONE = "none"
"""The label of a verdict that no category decided."""
