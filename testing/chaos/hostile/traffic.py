"""What is published in the hostile hour: good uploads, and records that were written against the service."""

import base64
import gzip
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
from PIL import Image

from testing.chaos.hostile.servers import GOOD_HOST, hostile_host
from testing.raw_batches import GZIP, ZSTD, RawBatch, batch_of, bomb, record
from testing.zone import SILENT

Headers = Sequence[tuple[str, bytes]]

GOOD_TENANTS = ("shop", "forum", "press")
# As many as a spiteful uploader would take: shares by tenant must not be outwitted by names.
HOSTILE_TENANTS = 4

# Under what brokers accept by default.
LARGE_BYTES = 900_000
LONG_NAME = {"a" * 80_000: 1}
BOMB_SIDE = 20_000
UNPACKED_BYTES = 1500 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """One record to publish."""

    kind: str
    value: bytes
    headers: Headers = ()
    batch: RawBatch | None = None
    """Sent instead, past every check of the client: one record that no client can read."""


class Traffic:
    """Makes uploads by number; the same number gives the same record."""

    def __init__(self, *, port: int, image: bytes) -> None:
        self._port = port
        self._inline = {"inline": base64.b64encode(image).decode(), "media_type": "image/png"}
        self._bomb = {"inline": base64.b64encode(_picture_bomb()).decode(), "media_type": "image/png"}
        self._zstd_bomb = bomb(ZSTD, UNPACKED_BYTES)
        self._cut = {"inline": base64.b64encode(_cut_picture()).decode(), "media_type": "image/jpeg"}

    def good(self, number: int) -> Upload:
        """Return an upload that has to get a verdict: every second one holds its image, the others name it."""
        tenant = GOOD_TENANTS[number % len(GOOD_TENANTS)]
        if number % 2:
            return _event("inline", number, self._inline, tenant=tenant)
        return _event("by URL", number, self._url(GOOD_HOST, f"{number}.png"), tenant=tenant)

    def hostile(self, number: int) -> Upload:
        """Return one of the hostile kinds, in turn."""
        makers = self._makers
        kind = list(makers)[number % len(makers)]
        return makers[kind](kind, number)

    @property
    def kinds(self) -> Sequence[str]:
        """Names of the hostile kinds."""
        return list(self._makers)

    @property
    def _makers(self) -> Mapping[str, Callable[[str, int], Upload]]:
        return {
            "a host that drips, is silent or floods": lambda kind, n: self._by_url(kind, n, hostile_host(n)),
            "another such host": lambda kind, n: self._by_url(kind, n, hostile_host(n + 1)),
            "a name whose servers never answer": lambda kind, n: self._by_url(kind, n, f"{SILENT}h{n}.example"),
            "a closed port": lambda kind, n: _event(kind, n, {"url": f"http://{GOOD_HOST}:1/{n}.png"}),
            "a metadata address": lambda kind, n: _event(kind, n, {"url": "http://169.254.169.254/latest/"}),
            "a forbidden scheme": lambda kind, n: _event(kind, n, {"url": f"ftp://{GOOD_HOST}/{n}.png"}),
            "an unknown policy": lambda kind, n: _event(kind, n, self._inline, policy="none such"),
            "brackets": lambda kind, n: Upload(kind, b"[" + b"[]," * (LARGE_BYTES // 3) + b"[]]"),
            "a context of many keys": lambda kind, n: _event(kind, n, self._inline, context=_many_keys()),
            "a field with a long name": lambda kind, n: _event(kind, n, self._inline, **LONG_NAME),
            "a large value that is no event": lambda kind, n: Upload(kind, b"\x00" * LARGE_BYTES),
            "a picture bomb": lambda kind, n: _event(kind, n, self._bomb),
            "a cut picture": lambda kind, n: _event(kind, n, self._cut),
            "a batch that unpacks to 1,500 MiB": lambda kind, _: Upload(kind, b"", batch=self._zstd_bomb),
            "a header whose name is no UTF-8": lambda kind, _: Upload(kind, b"", batch=_unreadable_name()),
            "a gzip batch with trailing bytes": lambda kind, _: Upload(kind, b"", batch=_trailing_bytes()),
            "many headers": lambda kind, n: Upload(kind, b"{}", [(f"h{each}", b"x" * 50) for each in range(2000)]),
        }

    def _by_url(self, kind: str, number: int, host: str) -> Upload:
        return _event(kind, number, self._url(host, f"{number}.png"))

    def _url(self, host: str, path: str) -> Mapping[str, str]:
        return {"url": f"http://{host}:{self._port}/{path}"}


def _event(kind: str, number: int, image: Mapping[str, str], **fields: object) -> Upload:
    event = {
        "image_id": f"{kind}-{number}",
        "image": image,
        "tenant": f"spite-{number % HOSTILE_TENANTS}",
        "tasks": ["moderation"],
    }
    return Upload(kind, orjson.dumps(event | fields))


def _unreadable_name() -> RawBatch:
    return RawBatch(records=record(0, b"{}", headers=[(b"\xff\xfe", b"")]), count=1)


def _trailing_bytes() -> RawBatch:
    packed = gzip.compress(batch_of(b"{}").records)
    return RawBatch(records=packed + b"trailing", count=1, codec=GZIP)


def _many_keys() -> Mapping[str, int]:
    return {str(number): number for number in range(LARGE_BYTES // 16)}


def _picture_bomb() -> bytes:
    """Return a small PNG of 400 megapixels."""
    file = io.BytesIO()
    Image.new("1", (BOMB_SIDE, BOMB_SIDE)).save(file, "PNG")
    return file.getvalue()


def _cut_picture() -> bytes:
    noise = np.random.default_rng(7).integers(0, 256, (256, 256, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG")
    return file.getvalue()[: file.tell() // 2]
