"""The settings of fetching and decoding images."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from service.settings.types import (
    MIB,
    Group,
    HostNames,
    NameServers,
    Networks,
    OptionalEndpoint,
    Positive,
    PositiveSeconds,
    settings_conflict,
)


class S3Settings(Group):
    """S3 and compatible stores; credentials come from here or from the usual AWS chain."""

    buckets: tuple[str, ...] = ()
    """Buckets that events may name; empty refuses every s3:// reference, "*" allows any that the credentials reach."""
    endpoint: OptionalEndpoint = None
    """URL of an S3-compatible store, such as http://minio:9000. When not set, AWS is used."""
    region: str = "us-east-1"
    """Region of the buckets."""
    access_key_id: str | None = None
    """When not set, the AWS chain is used: environment, web identity, container or instance role."""
    secret_access_key: SecretStr | None = None
    """Secret of `access_key_id`."""

    @model_validator(mode="after")
    def _keys_come_in_pairs(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            message = "media.fetch.s3.access_key_id and secret_access_key are set both or neither"
            raise settings_conflict(message, "media.fetch.s3.access_key_id", "media.fetch.s3.secret_access_key")
        return self


class FetchSettings(Group):
    """Sources of images, and limits of fetching."""

    max_bytes: Positive = 25 * MIB
    """Largest encoded image. A JPEG of 50 megapixels from a phone fits."""
    timeout_s: PositiveSeconds = 20.0
    """Time limit for fetching one image, redirects included."""
    read_timeout_s: PositiveSeconds = 5.0
    """Time limit between two chunks of data."""
    min_bytes_per_s: Annotated[int, Field(ge=0)] = 1024
    """A server that answers more slowly is given up, so that its fetch does not hold a connection for all of
    `timeout_s`; measured over each `read_timeout_s` of an answer. 0 lets every pace pass."""
    dns_timeout_s: PositiveSeconds = 5.0
    """For looking up one name. Names come from the hosts file and DNS as `/etc/resolv.conf` has it; other name services
    of the operating system are not asked."""
    dns_servers: NameServers = ()
    """Name servers to use instead of those in `/etc/resolv.conf`: addresses, with a port if it is not 53."""
    max_redirects: Annotated[int, Field(ge=0, le=20)] = 3
    """Upper limit of redirects. Each target is checked like the first address."""
    max_connections: Positive = 128
    """Open connections to all hosts together. One tenant gets at most 7/8 of them, and one host at most 3/4."""
    allow_hosts: HostNames = ()
    """Names of hosts that may be contacted although their addresses are private, such as "minio.internal"."""
    allow_networks: Networks = ()
    """Networks in CIDR form that may be contacted although they are private, such as "10.20.0.0/16"."""
    file_root: Path | None = None
    """Folder that file references must lie in. When not set, all file references are refused."""
    s3: S3Settings = S3Settings()


class DecodeSettings(Group):
    """The pool of decoder processes, which turn files into pixels."""

    workers: Annotated[int, Field(ge=0)] = 0
    """Decoder processes; 0 uses one per core."""
    timeout_s: PositiveSeconds = 10.0
    """Time limit for decoding one image. A process that exceeds it is killed and replaced."""
    memory_bytes: Positive = 1024 * MIB
    """Address space of one process beyond what it starts with. Pictures that would take more are refused by their
    headers where their format has the size."""
    max_pixels: Positive = 120_000_000
    """Width × height (× judged frames): above today's phones, below a decompression bomb."""
    max_frames: Positive = 4
    """Judged frames of an animated image: those of what is shown longest. The highest score of each category counts."""
    max_views: Positive = 12
    """Upper limit of pictures that the engine is given of one image: frames, transparent pictures on several grounds,
    parts of long pictures. An opaque photograph is one. Each judged frame is one at least."""
    full_jpeg: bool = False
    """Decode JPEGs to all their pixels instead of to about the engine's size. A file can be made so that detail which
    the reduced decoding leaves out shows another picture; see docs/evasion.md for it and for the cost."""


class MediaSettings(Group):
    """Fetching and decoding of images."""

    fetch: FetchSettings = FetchSettings()
    decode: DecodeSettings = DecodeSettings()
