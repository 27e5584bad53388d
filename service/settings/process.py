"""Every setting, its default and the default's reason: frozen groups.

`service.settings` fills them from a YAML file and the environment; the docstrings become docs/settings.md.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from service.settings.engine import EngineSettings
from service.settings.kafka import KafkaSettings
from service.settings.monitoring import MonitoringSettings
from service.settings.types import (
    Delays,
    Group,
    HostNames,
    NameServers,
    Networks,
    OptionalEndpoint,
    OptionalTraceUrl,
    Positive,
    PositiveSeconds,
    TopicSuffixes,
    settings_conflict,
)

MIB = 1024 * 1024


class TopicSettings(Group):
    """Names of the topics."""

    uploads: str = "images.uploaded"
    """What upload services publish; read."""
    verdicts: str = "images.verdicts"
    """What was decided; written."""
    tags: str = "images.tags"
    """What images show; written."""
    dead_letters: str = "images.uploaded.dead"
    """What could not be judged, with the reason; written."""

    @model_validator(mode="after")
    def _outcomes_are_not_read_again(self) -> Self:
        if self.uploads in {self.verdicts, self.tags, self.dead_letters}:
            names = ("topics.verdicts", "topics.tags", "topics.dead_letters")
            raise settings_conflict(
                "topics.uploads must differ from the topics that are written", "topics.uploads", *names
            )
        return self


class WindowSettings(Group):
    """Bounds on what is in flight; the first one reached holds further records back."""

    max_records: Positive = 256
    """Records that are decoded and judged at a time: enough to keep an engine's queue full."""
    max_waiting: Annotated[int, Field(ge=0)] = 4096
    """Records in flight besides: they wait for their image, their next attempt or their turn. Enough to read past a
    burst of one tenant, or past the images of a slow host, to the records behind."""
    max_bytes: Positive = 256 * MIB
    """Half of it for events, with what they hold once they are read, and half for images: what has arrived of them,
    then their pixels until the engine is done. An image waits until there is room; one at least always goes on."""
    max_span: Annotated[int, Field(gt=0, le=24_000)] = 20_000
    """Per partition, newest received minus oldest unfinished offset. Above 24,000 the progress bitmap could outgrow
    the 4,096 characters that brokers accept as offset metadata."""


class CommitSettings(Group):
    """When outcomes are committed: on a count or after a time, whichever comes first."""

    interval_s: PositiveSeconds = 0.05
    """A transaction costs about 3 ms of CPU, whatever it holds; twenty a second cost 6 % of a core. Where more than two
    partitions commit they do so less often, up to twice a second; with nothing else in flight none waits so long."""
    max_outcomes: Positive = 1000
    """So many are committed without waiting for the interval. What finishes during a commit goes into the next one;
    when four times as many wait, their partition is read no further until the brokers have caught up."""
    max_bytes: Positive = 8 * MIB
    """Of outcomes in one transaction, before compression; one outcome alone may be larger. A partition whose commits
    take more than a quarter of `timeout_s` makes smaller ones until they are quick again."""
    max_waiting_bytes: Positive = 64 * MIB
    """Of events and outcomes that wait for their commit, in all partitions together. Nothing more is read beyond it,
    nor of a partition that holds a quarter of it. What is in the window then still joins them, so they take up to
    `window.max_bytes` more."""
    timeout_s: PositiveSeconds = 15.0
    """A commit that takes longer is given up, its producer rebuilt and its fate read back, and half as much is tried
    next; under `kafka.request_timeout_s`."""
    transaction_timeout_s: PositiveSeconds = 60.0
    """After this the broker aborts the transaction of a process that vanished; above `timeout_s`."""

    @model_validator(mode="after")
    def _transactions_outlive_commits(self) -> Self:
        if self.transaction_timeout_s <= self.timeout_s:
            message = "commit.transaction_timeout_s must be above commit.timeout_s"
            raise settings_conflict(message, "commit.transaction_timeout_s", "commit.timeout_s")
        return self


class RetrySettings(Group):
    """Attempts in process for transient faults."""

    max_attempts: Positive = 4
    """The first one included; then the record goes on to the next of `retry.tiers`, or becomes a dead letter."""
    initial_backoff_s: PositiveSeconds = 0.2
    """Delay before the second attempt."""
    max_backoff_s: PositiveSeconds = 5.0
    """No delay is longer."""
    multiplier: Annotated[float, Field(ge=1.0)] = 3.0
    """Each delay is so many times the one before."""
    jitter: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Share of each delay that is random, so that records that failed together do not come back together."""
    tiers: Delays = ()
    """Delays such as 30s and 10m, after which attempts begin anew: a topic `<topics.uploads>.retry.<delay>` for each.
    After the last one a record becomes a dead letter."""


class DeadLetterSettings(Group):
    """When failures that may be ours pile up, stop: a restart loses nothing. What records alone cause never counts."""

    max_consecutive: Positive = 1000
    """Dead letters that count, without one success between them. High enough for a burst of images that one uploader
    deleted too early."""
    max_ratio: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9
    """Dead letters that count, among the last `window_records` outcomes that count."""
    window_records: Positive = 5000
    """Outcomes that `max_ratio` looks back at: successes, and dead letters that count."""
    min_sources: Positive = 5
    """Of each limit no tenant contributes more than this part, a fifth, and no host that events name: an uploader can
    make its own events fail at will. Failures of the engine and of your own stores count in full while fewer tenants
    are known. 1 counts all records alike."""
    notice_tenants: TopicSuffixes = ()
    """Tenants that may read why their events failed: for each a topic `<topics.dead_letters>.notices.<tenant>`, which
    its uploaders can be allowed to read. It holds the key, the reason and the origin of their dead letters, and no
    event. `topics.dead_letters` holds all of every tenant, and is for operators."""


class S3Settings(Group):
    """S3 and compatible stores; credentials come from here or from the usual AWS chain."""

    buckets: tuple[str, ...] = ()
    """Buckets that events may name; empty refuses every s3:// reference, "*" allows any that the credentials reach."""
    endpoint: OptionalEndpoint = None
    """For compatible stores, such as http://minio:9000; AWS when not set."""
    region: str = "us-east-1"
    """Where the buckets are."""
    access_key_id: str | None = None
    """The usual AWS chain (environment, web identity, container or instance role) when not set."""
    secret_access_key: SecretStr | None = None
    """Belongs to `access_key_id`."""

    @model_validator(mode="after")
    def _keys_come_in_pairs(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            message = "media.fetch.s3.access_key_id and secret_access_key are set both or neither"
            raise settings_conflict(message, "media.fetch.s3.access_key_id", "media.fetch.s3.secret_access_key")
        return self


class FetchSettings(Group):
    """What is fetched, from where, and its limits."""

    max_bytes: Positive = 25 * MIB
    """Of one encoded image: a 50-megapixel phone JPEG fits."""
    timeout_s: PositiveSeconds = 20.0
    """In all, redirects included."""
    read_timeout_s: PositiveSeconds = 5.0
    """Between two pieces of data."""
    min_bytes_per_s: Annotated[int, Field(ge=0)] = 1024
    """A server that answers more slowly is given up, so that its fetch does not hold a connection for all of
    `timeout_s`; measured over each `read_timeout_s` of an answer. 0 lets every pace pass."""
    dns_timeout_s: PositiveSeconds = 5.0
    """For looking up one name. Names come from the hosts file and DNS as `/etc/resolv.conf` has it; other name services
    of the operating system are not asked."""
    dns_servers: NameServers = ()
    """Name servers to ask instead of those in `/etc/resolv.conf`: addresses, each with a port if it is not 53."""
    max_redirects: Annotated[int, Field(ge=0, le=20)] = 3
    """Each one is checked like the first address."""
    max_connections: Positive = 128
    """Open at a time, all hosts together. One tenant gets 7/8 of them at most, and one host 3/4."""
    allow_hosts: HostNames = ()
    """Names of hosts that may be contacted although their addresses are private, such as "minio.internal"."""
    allow_networks: Networks = ()
    """Networks in CIDR form that may be contacted although they are private, such as "10.20.0.0/16"."""
    file_root: Path | None = None
    """Folder that file references must lie in; not set refuses them all."""
    s3: S3Settings = S3Settings()


class DecodeSettings(Group):
    """The pool of processes that turns files into pixels."""

    workers: Annotated[int, Field(ge=0)] = 0
    """Processes; 0 takes one a core."""
    timeout_s: PositiveSeconds = 10.0
    """For one image; a process that exceeds it is killed and replaced."""
    memory_bytes: Positive = 1024 * MIB
    """Address space of one process beyond what it starts with. Pictures that would take more are refused by their
    headers where their format tells."""
    max_pixels: Positive = 120_000_000
    """Width × height (× frames looked at): above today's phones, below a decompression bomb."""
    max_frames: Positive = 4
    """Frames judged of an animated image, evenly spaced; the worst counts."""


class MediaSettings(Group):
    """From a reference to checked pixels."""

    fetch: FetchSettings = FetchSettings()
    decode: DecodeSettings = DecodeSettings()


class PolicySettings(Group):
    """The rules that turn scores into decisions."""

    path: Path | None = None
    """A YAML policy, or a folder of them; the bundled default policy when not set."""
    default: str = "default"
    """Name of the policy for events that name none."""


class TelemetrySettings(Group):
    """Logs, traces, and where metrics are sent."""

    log_format: Literal["auto", "json", "console"] = "auto"
    """auto: readable in a terminal, JSON elsewhere."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Less than this is not written."""
    log_limit_per_s: Positive = 20
    """Lines of one event about records in a second; what comes beyond is counted and told by `log.dropped`. Errors are
    always written. Enough to see what goes wrong; each line costs 65 µs, one that is held back 15."""
    otlp_endpoint: str | None = None
    """Base URL of an OTLP/HTTP collector, such as http://collector:4318; nothing is traced or sent when not set."""
    metrics_interval_s: PositiveSeconds = 15.0
    """How often metrics are sent there: as often as Prometheus usually asks."""
    trace_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    """Share of traces that start here; an upstream decision is always kept."""
    trace_url: OptionalTraceUrl = None
    """Where people look at a trace, such as http://jaeger:16686/trace/{trace_id}: for the links of
    `modstream dead-letters show`."""


class ShutdownSettings(Group):
    """How the service stops."""

    drain_s: PositiveSeconds = 25.0
    """Time for work in flight after SIGTERM: under the 30 s that Kubernetes grants."""


class Settings(Group):
    """All settings of one process."""

    delivery: Literal["exactly_once", "at_least_once"] = "exactly_once"
    """exactly_once: each record has exactly one outcome for those who read committed records; after a crash its image
    may be judged again. at_least_once is for brokers without transactions: after a crash some outcomes come twice."""
    ordering: Literal["unordered", "key"] = "unordered"
    """key: records with one key are judged one after the other; others overtake."""
    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    window: WindowSettings = WindowSettings()
    commit: CommitSettings = CommitSettings()
    retry: RetrySettings = RetrySettings()
    dead_letter: DeadLetterSettings = DeadLetterSettings()
    media: MediaSettings = MediaSettings()
    engine: EngineSettings = EngineSettings()
    policy: PolicySettings = PolicySettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    shutdown: ShutdownSettings = ShutdownSettings()

    @model_validator(mode="after")
    def _commits_end_before_requests(self) -> Self:
        if self.commit.timeout_s >= self.kafka.request_timeout_s:
            message = "commit.timeout_s must be under kafka.request_timeout_s"
            raise settings_conflict(message, "commit.timeout_s", "kafka.request_timeout_s")
        return self
