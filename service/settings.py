"""Every setting, its default and the default's reason: frozen groups, filled from a YAML file and the environment.

The environment wins over the file. `MODSTREAM_KAFKA__GROUP_ID` is `kafka.group_id`.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024

PositiveSeconds = Annotated[float, Field(gt=0)]
Positive = Annotated[int, Field(gt=0)]


class Group(BaseModel):
    """A frozen group of settings; an unknown name in it is an error, because it is a typing mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class KafkaSettings(Group):
    """The connection to the brokers."""

    bootstrap_servers: str = "localhost:9092"
    """Comma-separated host:port pairs."""
    group_id: str = Field(default="modstream", min_length=1)
    """Processes with one group id share the work."""
    client_id: str = "modstream"
    """Shown in the brokers' logs and metrics."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_cafile: Path | None = None
    """CA certificates in PEM; the system's when not set."""
    compression: Literal["none", "gzip", "lz4", "zstd"] = "lz4"
    """Of what is produced; lz4 costs the least CPU."""
    request_timeout_s: PositiveSeconds = 20.0
    session_timeout_s: PositiveSeconds = 15.0
    """A process silent for so long loses its partitions."""
    heartbeat_interval_s: PositiveSeconds = 1.0
    """Also how soon a process notices a rebalance: 3 s, the usual default, stalls a group that starts together."""
    rebalance_timeout_s: PositiveSeconds = 30.0
    """Room for the last transaction before partitions are given up."""
    max_partition_fetch_bytes: Positive = 1 * MIB
    """Per partition and fetch; also bounds how long one partition is served before the next."""
    max_request_bytes: Positive = 1 * MIB
    """The brokers' message.max.bytes: larger outcomes cannot be published."""


class TopicSettings(Group):
    """Names of the topics."""

    uploads: str = "images.uploaded"
    verdicts: str = "images.verdicts"
    tags: str = "images.tags"
    dead_letters: str = "images.uploaded.dead"


class WindowSettings(Group):
    """Bounds on what is in flight; the first one reached holds further records back."""

    max_records: Positive = 256
    """Enough to keep an engine's queue full while images are fetched."""
    max_bytes: Positive = 256 * MIB
    """Of event values and fetched images together."""
    max_span: Annotated[int, Field(gt=0, le=24_000)] = 20_000
    """Per partition, newest received minus oldest unfinished offset. Above 24,000 the progress bitmap could outgrow
    the 4,096 characters that brokers accept as offset metadata."""


class CommitSettings(Group):
    """When outcomes are committed: on a count or after a time, whichever comes first."""

    interval_s: PositiveSeconds = 0.1
    """A transaction costs about 3 ms of CPU, whatever it holds; ten a second cost 3 % of a core a partition."""
    max_outcomes: Positive = 1000
    timeout_s: PositiveSeconds = 15.0
    """A commit that takes longer is given up, its producer rebuilt and its fate read back; under
    `kafka.request_timeout_s`."""
    transaction_timeout_s: PositiveSeconds = 60.0
    """After this the broker aborts the transaction of a process that vanished; above `timeout_s`."""


class RetrySettings(Group):
    """Attempts in process for transient faults."""

    max_attempts: Positive = 4
    initial_backoff_s: PositiveSeconds = 0.2
    max_backoff_s: PositiveSeconds = 5.0
    multiplier: Annotated[float, Field(ge=1.0)] = 3.0
    jitter: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Share of each delay that is random, so that records that failed together do not come back together."""


class DeadLetterSettings(Group):
    """When failures look like our fault rather than the records', stop: a restart loses nothing."""

    max_consecutive: Positive = 1000
    """Dead letters without one success between them. High enough for a burst from one broken uploader."""
    max_ratio: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9
    """Dead letters among the last `window_records` outcomes."""
    window_records: Positive = 5000


class S3Settings(Group):
    """S3 and compatible stores; credentials come from here or from the usual AWS chain."""

    buckets: tuple[str, ...] = ()
    """Buckets that events may name; empty refuses every s3:// reference, "*" allows any that the credentials reach."""
    endpoint: str | None = None
    """For compatible stores, such as http://minio:9000; AWS when not set."""
    region: str = "us-east-1"
    access_key_id: str | None = None
    secret_access_key: SecretStr | None = None


class FetchSettings(Group):
    """What is fetched, from where, and its limits."""

    max_bytes: Positive = 25 * MIB
    """Of one encoded image: a 50-megapixel phone JPEG fits."""
    timeout_s: PositiveSeconds = 20.0
    """In all, redirects included."""
    read_timeout_s: PositiveSeconds = 5.0
    """Between two pieces of data."""
    max_redirects: Annotated[int, Field(ge=0, le=20)] = 3
    max_connections: Positive = 128
    allow_hosts: tuple[str, ...] = ()
    """Names of hosts that may be contacted although their addresses are private, such as "minio.internal"."""
    allow_networks: tuple[str, ...] = ()
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
    """Address space of one process beyond what it starts with."""
    max_pixels: Positive = 120_000_000
    """Width × height (× frames looked at): above today's phones, below a decompression bomb."""
    max_frames: Positive = 4
    """Frames judged of an animated image, evenly spaced; the worst counts."""


class MediaSettings(Group):
    """From a reference to checked pixels."""

    fetch: FetchSettings = FetchSettings()
    decode: DecodeSettings = DecodeSettings()


class OnnxSettings(Group):
    """The embedded CPU engine."""

    threads: Annotated[int, Field(ge=0)] = 0
    """Images judged side by side, one thread each; 0 takes one a core."""
    classifiers: Path | None = None
    """YAML file that names other ONNX classifiers; the bundled ones when not set."""


class RehearsalSettings(Group):
    """An engine for load rehearsals: answers after a set time and judges nothing."""

    batch_size: Positive = 64
    batch_s: Annotated[float, Field(ge=0.0)] = 0.376
    """Time a batch takes: as an H100 runs Qwen3-VL-8B."""


class EngineSettings(Group):
    """What judges the images."""

    kind: Literal["onnx", "rehearsal"] = "onnx"
    onnx: OnnxSettings = OnnxSettings()
    rehearsal: RehearsalSettings = RehearsalSettings()
    timeout_s: PositiveSeconds = 60.0
    """For one request, waiting for its turn included."""


class PolicySettings(Group):
    """The rules that turn scores into decisions."""

    path: Path | None = None
    """A YAML policy, or a folder of them; the bundled default policy when not set."""
    default: str = "default"
    """Name of the policy for events that name none."""


class TelemetrySettings(Group):
    """Logs and traces."""

    log_format: Literal["auto", "json", "console"] = "auto"
    """auto: readable in a terminal, JSON elsewhere."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    otlp_endpoint: str | None = None
    """Base URL of an OTLP/HTTP collector, such as http://collector:4318; nothing is traced when not set."""
    trace_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    """Share of traces that start here; an upstream decision is always kept."""


class ShutdownSettings(Group):
    """How the service stops."""

    drain_s: PositiveSeconds = 25.0
    """Time for work in flight after SIGTERM: under the 30 s that Kubernetes grants."""


class Settings(BaseSettings):
    """All settings of one process."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="MODSTREAM_",
        env_nested_delimiter="__",
        use_attribute_docstrings=True,
        nested_model_default_partial_update=True,
    )

    delivery: Literal["exactly_once", "at_least_once"] = "exactly_once"
    """at_least_once is for brokers without transactions: after a crash some outcomes may come twice."""
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
    shutdown: ShutdownSettings = ShutdownSettings()
