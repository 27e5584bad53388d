"""Errors between the service and its brokers."""

from collections.abc import Sequence

from service.core.errors import FatalError, RejectedError, TransientError
from service.core.records import OutgoingRecord


class KafkaUnreachableError(FatalError):
    """No Kafka broker answers at start."""

    reason = "kafka.unreachable"
    message = "no Kafka broker answers at {bootstrap_servers} (setting kafka.bootstrap_servers): {detail}"


class WrongProtocolError(KafkaUnreachableError):
    """The brokers' listener speaks another protocol than the settings say."""

    reason = "kafka.wrong_protocol"
    message = (
        "the Kafka listener at {address} speaks {expected}, and the setting kafka.security_protocol is {configured}: "
        "set it to {expected}, or name another listener in kafka.bootstrap_servers"
    )


class AuthenticationFailedError(KafkaUnreachableError):
    """The brokers do not accept the client's credentials, or not its mechanism."""

    reason = "kafka.authentication_failed"
    message = "Kafka at {address} refuses the client's authentication: {detail}; check the settings {settings}"


class CertificateRefusedError(KafkaUnreachableError):
    """The client does not trust the brokers' certificate, or the brokers not the client's."""

    reason = "kafka.certificate_refused"
    message = "no encrypted connection to Kafka at {address}: {detail}"


class CertificatesUnreadableError(FatalError):
    """A file of the encrypted connection is missing or no PEM."""

    reason = "kafka.certificates_unreadable"
    message = "the file {path} (setting {setting}) cannot be used: {detail}"


class AccessDeniedError(FatalError):
    """The brokers deny an operation that the service needs."""

    reason = "kafka.access_denied"
    message = "Kafka refuses {operation} to this client: {detail}"


class TokenUnavailableError(FatalError):
    """The authorization server issues no token."""

    reason = "kafka.no_token"
    message = (
        "no token from kafka.oauth.token_url: {detail}; check it and kafka.oauth.client_id, client_secret and scope"
    )


class TopicMissingError(FatalError):
    """A topic does not exist."""

    reason = "kafka.topic_missing"
    message = "topic {topic} (setting {setting}) does not exist; `modstream topics create` creates it"


class TopicCreationError(FatalError):
    """A topic could not be created."""

    reason = "kafka.topic_creation"
    message = "topic {topic} (setting {setting}) could not be created: {detail}"


class TransactionsRefusedError(FatalError):
    """The brokers have no transactions, which `delivery: exactly_once` needs."""

    reason = "kafka.transactions_refused"
    message = (
        "delivery is exactly_once, but the broker refuses transactions ({detail}); "
        "set delivery: at_least_once (MODSTREAM_DELIVERY=at_least_once) for a broker without them"
    )


class TransactionsNeededError(FatalError):
    """The command needs transactions, and the brokers have none: without them it could send a record twice."""

    reason = "kafka.transactions_needed"
    message = (
        "the broker refuses transactions ({detail}), and without them a record could be sent twice after a crash: "
        "this needs Apache Kafka"
    )


class ShutOutError(FatalError):
    """Another process with the same transactional id fenced this one; the uncommitted work of this one is discarded."""

    reason = "kafka.shut_out"
    message = "another run started and fenced this one; dead letters that this one has committed stay done"


class PublishUnknownError(FatalError):
    """A transaction ended without a response: either all of its records are published or none."""

    reason = "kafka.publish_unknown"
    message = (
        "whether the last {records} records were published is not known ({detail}); run the command "
        "again, which sends no record twice"
    )


class ProgressUnreadableError(FatalError):
    """The group's stored offset carries metadata of another program or of a later version."""

    reason = "kafka.progress_unreadable"
    message = (
        "the metadata of the group's offset {offset} is none of this version's ({metadata!r}): another program or a "
        "newer version uses the group (setting kafka.group_id)"
    )


class OffsetsLostError(FatalError):
    """The group's offset and the partition's log contradict each other: records were lost, or would be judged again."""

    reason = "kafka.offsets_lost"
    message = (
        "{topic} partition {partition} does not fit the offset of group {group} ({cause}): {detail}. Nothing was "
        "committed, because setting kafka.on_lost_offsets is stop. {advice}. Either start once with "
        "MODSTREAM_KAFKA__ON_LOST_OFFSETS=earliest, which goes on at offset {start}, the oldest that is left (outcomes "
        "may come twice), or =latest, at offset {end} (what lies before it gets no outcome); after records_deleted "
        "both go on at {start}. Each partition stores where it goes on, so stop is right again from the next start. "
        "Or set the offset while no process runs: kafka-consumer-groups --bootstrap-server ... --group {group} "
        "--topic {topic}:{partition} --reset-offsets --to-offset ... --execute"
    )


class ConsumerFailedError(FatalError):
    """Records can no longer be read."""

    reason = "kafka.consumer_failed"
    message = "reading from Kafka failed: {detail}"


class TopicLimitError(FatalError):
    """An output topic accepts so little that neither a verdict nor a dead letter fits."""

    reason = "kafka.topic_limit"
    message = (
        "topic {topic} (setting {setting}) accepts {limit_bytes} bytes a record (its config max.message.bytes), and "
        "outcomes need at least {least_bytes}: raise the topic's config to kafka.max_request_bytes"
    )


class DeadLetterUnfitError(FatalError):
    """The topic of dead letters refuses one that is cut to its reason and origin."""

    reason = "kafka.dead_letter_refused"
    message = (
        "topic {topic} refuses a dead letter of {size_bytes} bytes, which cannot be cut further: raise the topic's "
        "config max.message.bytes"
    )


class CommitRefusedError(FatalError):
    """The brokers respond but refuse a batch repeatedly; after a restart its records are read again."""

    reason = "kafka.commit_refused"
    message = "outcomes of {partition} could not be committed in {attempts} attempts: {detail}"


class RecordUnreadableError(RejectedError):
    """The Kafka client cannot read a record, or the batch that it lies in."""

    reason = "record.unreadable"
    message = "The Kafka client cannot read this: {detail}"


class BatchTooLargeError(RejectedError):
    """A compressed batch of records unpacks to more memory than one batch may take."""

    reason = "record.batch_too_large"
    message = "The batch is not read: {detail}"


class OutcomeTooLargeError(RejectedError):
    """An outcome is larger than the brokers accept."""

    reason = "outcome.too_large"
    blame = "uploader"
    message = "an outcome for {topic} takes {size_bytes} bytes, more than the {limit_bytes} of {limit}"


class PublishError(TransientError):
    """Records could not be published."""

    reason = "kafka.publish"
    message = "could not publish to {topic}: {detail}"


class CommitUnknownError(Exception):
    """A commit ended without a response, so it may have happened. The delivery core handles this error itself."""


class CommitTimedOutError(CommitUnknownError):
    """A commit took longer than `commit.timeout_s`."""


class OutcomesRefusedError(CommitUnknownError):
    """A topic refuses a batch for its size, so no part of the commit has happened."""

    def __init__(self, topic: str, records: Sequence[OutgoingRecord], *, size_bytes: int, detail: str) -> None:
        super().__init__(f"topic {topic} refuses a batch of {size_bytes} bytes: {detail}")
        self.topic = topic
        self.records = records
        self.size_bytes = size_bytes


class PartitionLostError(Exception):
    """Another process owns a partition, or has committed to it. The delivery core handles this error itself."""
