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
    headers where their format has the size."""
    max_pixels: Positive = 120_000_000
    """Width × height (× frames looked at): above today's phones, below a decompression bomb."""
    max_frames: Positive = 4
    """Frames judged of an animated image, evenly spaced; the worst counts."""


class MediaSettings(Group):
    """From a reference to checked pixels."""

    fetch: FetchSettings = FetchSettings()
    decode: DecodeSettings = DecodeSettings()
