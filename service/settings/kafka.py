"""The settings of the connection to the brokers."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from service.settings.types import Group, OptionalEndpoint, Positive, PositiveSeconds, settings_conflict

_MIB = 1024 * 1024

DEFAULT_MAX_EVENT_BYTES = 2 * _MIB
# An inline image of 25 MiB, the largest that is fetched by default, takes 33.4 MiB in base64.
LARGEST_MAX_EVENT_BYTES = 36 * _MIB


class OAuthSettings(Group):
    """Signing in with OAUTHBEARER: tokens by OAuth 2.0's client credentials, renewed before they expire."""

    token_url: OptionalEndpoint = None
    """URL of the authorization server's token endpoint."""
    client_id: str | None = None
    """Client id of the service at the authorization server."""
    client_secret: SecretStr | None = None
    """Client secret of the service at the authorization server."""
    scope: str | None = None
    """Scope that token requests ask for, if the authorization server requires one."""

    @property
    def is_complete(self) -> bool:
        """Whether tokens can be asked for."""
        return bool(self.token_url and self.client_id and self.client_secret)


class KafkaSettings(Group):
    """The connection to the brokers."""

    bootstrap_servers: str = "localhost:9092"
    """Addresses of the brokers: comma-separated host:port pairs."""
    group_id: str = Field(default="modstream", min_length=1)
    """Consumer group. Processes with the same group id share the partitions."""
    client_id: str = "modstream"
    """Name of the client in the brokers' logs and metrics."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Security protocol of the brokers' listener."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = "PLAIN"
    """SASL mechanism. Used with the protocols SASL_PLAINTEXT and SASL_SSL."""
    sasl_username: str | None = None
    """Needed with PLAIN and SCRAM."""
    sasl_password: SecretStr | None = None
    """Needed with PLAIN and SCRAM."""
    oauth: OAuthSettings = OAuthSettings()
    ssl_cafile: Path | None = None
    """File of CA certificates in PEM. When not set, the system's are used."""
    ssl_certfile: Path | None = None
    """File of the client's certificate chain in PEM, for brokers that require one."""
    ssl_keyfile: Path | None = None
    """File of the client's private key in PEM, without a password. When not set, it is in the certificate's file."""
    compression: Literal["none", "gzip", "lz4", "zstd"] = "gzip"
    """Of everything that is published: outcomes, dead letters, and the events of `modstream send`. Every Kafka client
    reads gzip and none as installed. lz4 and zstd cost less CPU and need more of some readers: aiokafka its extra
    `aiokafka[lz4]` or `aiokafka[zstd]`, KafkaJS a codec package; the Java client and librdkafka with its clients read
    both."""
    request_timeout_s: PositiveSeconds = 20.0
    """Time limit for one response of a broker. Must be above `commit.timeout_s`."""
    session_timeout_s: PositiveSeconds = 15.0
    """Time without a heartbeat after which a process loses its partitions."""
    heartbeat_interval_s: PositiveSeconds = 1.0
    """Heartbeat interval, within which a process notices a rebalance. Kafka's usual 3 s delay the start of a group."""
    rebalance_timeout_s: PositiveSeconds = 30.0
    """Time for the last transaction before partitions are given up in a rebalance."""
    metadata_max_age_s: PositiveSeconds = 30.0
    """How soon partitions that are added to an input topic are read, and a topic that was deleted and made again: one
    small request each time."""
    on_lost_offsets: Literal["stop", "earliest", "latest"] = "stop"
    """What to do when a partition's log and the group's offset contradict each other: records were deleted before they
    were judged, the log ends before the offset, the topic was made again, or the offset is gone although outcomes were
    published. stop: exit with `kafka.offsets_lost`, uncommitted. earliest: go on at the oldest record that is left;
    outcomes may come twice. latest: go on behind the newest record; what lies before gets no outcome. After records
    were deleted both go on at the oldest one that is left."""
    max_partition_fetch_bytes: Positive = _MIB // 4
    """Per partition and fetch, though never less than one record; what is fetched ahead is memory beside
    `window.max_bytes`, so many partitions with more would add up."""
    max_prefetch_bytes: Positive = 16 * _MIB
    """Fetched ahead by one process, all partitions together and as the brokers send it: it fetches no more while it
    holds so much. What is on its way comes on top: up to as much again from each broker."""
    max_batch_bytes: Positive = 16 * _MIB
    """One batch of records, unpacked: a larger one is not read and becomes a dead letter (`record.batch_too_large`).
    Brokers limit the packed size alone, of which zstd makes up to 30,000 times as much. A partition holds the batch
    that is being read whole."""
    max_request_bytes: Positive = 1 * _MIB
    """Largest produce request, as the brokers' message.max.bytes. Larger outcomes cannot be published."""

    max_event_bytes: int = Field(default=DEFAULT_MAX_EVENT_BYTES, gt=0, le=LARGEST_MAX_EVENT_BYTES)
    """An upload event with a larger value, counted without compression, becomes a dead letter (`event.too_large`). The
    default takes any inline image that a broker takes by default. Where brokers take larger messages, raise both this
    and `kafka.max_request_bytes`; reading an event holds up all others of the process."""

    def unused(self) -> list[str]:
        """Return the settings that have values and no effect under `kafka.security_protocol`."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        sasl = {"sasl_username", "sasl_password", "sasl_mechanism", "oauth"}
        tls = {"ssl_cafile", "ssl_certfile", "ssl_keyfile"}
        without_effect = (set() if self.security_protocol.startswith("SASL") else sasl) | (
            set() if self.security_protocol.endswith("SSL") else tls
        )
        return sorted(f"kafka.{name}" for name, value in given.items() if name in without_effect and value)

    @model_validator(mode="after")
    def _sasl_has_credentials(self) -> Self:
        if not self.security_protocol.startswith("SASL"):
            return self
        if self.sasl_mechanism != "OAUTHBEARER" and not (self.sasl_username and self.sasl_password):
            message = "This protocol needs kafka.sasl_username and kafka.sasl_password"
            raise settings_conflict(message, "kafka.security_protocol")
        if self.sasl_mechanism == "OAUTHBEARER" and not self.oauth.is_complete:
            message = "OAUTHBEARER needs kafka.oauth.token_url, kafka.oauth.client_id and kafka.oauth.client_secret"
            raise settings_conflict(message, "kafka.sasl_mechanism")
        return self

    @model_validator(mode="after")
    def _a_batch_has_room_for_an_event(self) -> Self:
        if self.max_batch_bytes <= self.max_event_bytes:
            message = (
                "kafka.max_batch_bytes must be above kafka.max_event_bytes: a batch holds more than an event's value"
            )
            raise settings_conflict(message, "kafka.max_batch_bytes", "kafka.max_event_bytes")
        return self

    @model_validator(mode="after")
    def _a_key_has_its_certificate(self) -> Self:
        if self.ssl_keyfile and not self.ssl_certfile:
            raise settings_conflict("A private key needs its certificate", "kafka.ssl_keyfile", "kafka.ssl_certfile")
        return self
