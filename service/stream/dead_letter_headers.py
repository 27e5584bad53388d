"""The headers that a dead letter has beside its origin; docs/uploader.md explains them."""

REASON = "modstream-reason"
MESSAGE = "modstream-message"
FAILED_AT = "modstream-failed-at"
TRUNCATED = "modstream-truncated"
"""Which parts had to be left out or cut so that the record fits, such as `value`; absent when nothing was."""

RAW = "modstream-raw"
"""What the value is where the Kafka client could not read the record: a `record` or a `batch` of records in Kafka's
format, as far as it was kept; absent when the value is the record's own."""
RAW_OFFSETS = "modstream-raw-offsets"
"""The offsets that a raw batch spans, as first-last; its bytes are in the dead letter of the first."""
LAST_OFFSET = "modstream-origin-last-offset"
"""The last of the offsets that a dead letter stands for; absent when it stands for one."""

ERROR_CLASS = "kafka_dlt-exception-fqcn"
CAUSE_CLASS = "kafka_dlt-exception-cause-fqcn"
"""Absent where there is no cause, as with Spring."""
STACK = "kafka_dlt-exception-stacktrace"
