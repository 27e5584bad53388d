"""A real S3-compatible store on this machine: SeaweedFS."""

import asyncio
import json
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.store import S3Store

from testing.waiting import wait_until

ACCESS_KEY_ID = "test-id"
SECRET_ACCESS_KEY = "test-secret"  # noqa: S105 - the store holds test images only
# Each server also takes the port 10,000 above its own, for gRPC.
GRPC_DISTANCE = 10_000
CANDIDATE_PORTS = range(21_000, 45_000, 7)


@dataclass(frozen=True)
class ObjectStore:
    """A running store."""

    endpoint: str

    def create_bucket(self, bucket: str) -> None:
        """Create a bucket, or raise `OSError`."""
        url = obstore.sign(self._store("any", bucket_in_path=False), "PUT", bucket, timedelta(minutes=1))
        request = urllib.request.Request(url, method="PUT")  # noqa: S310 - the store's own http URL
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - as above

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Store an object."""
        obstore.put(self._store(bucket, bucket_in_path=True), key, data, use_multipart=False)

    def _store(self, bucket: str, *, bucket_in_path: bool) -> S3Store:
        return S3Store(
            bucket,
            endpoint=self.endpoint,
            region="us-east-1",
            access_key_id=ACCESS_KEY_ID,
            secret_access_key=SECRET_ACCESS_KEY,
            virtual_hosted_style_request=not bucket_in_path,
            client_options={"allow_http": True},
        )


@contextmanager
def object_store(bucket: str) -> Iterator[ObjectStore]:
    """Run a store with one bucket until the block ends."""
    with tempfile.TemporaryDirectory(prefix="modstream-s3-") as folder, ExitStack() as stack:
        s3, master, volume, filer = _free_ports(4)
        keys = Path(folder) / "s3.json"
        keys.write_text(json.dumps(_identities()))
        data = Path(folder) / "data"
        data.mkdir()
        process = subprocess.Popen(
            [
                *("weed", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={data}", "-filer", "-s3"),
                *(f"-s3.port={s3}", f"-s3.config={keys}", f"-master.port={master}", f"-volume.port={volume}"),
                f"-filer.port={filer}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(_stop, process)
        store = ObjectStore(f"http://127.0.0.1:{s3}")
        asyncio.run(wait_until(lambda: _takes_writes(store, bucket, process), description="the store takes writes"))
        yield store


def _identities() -> dict[str, object]:
    credentials = [{"accessKey": ACCESS_KEY_ID, "secretKey": SECRET_ACCESS_KEY}]
    return {"identities": [{"name": "test", "credentials": credentials, "actions": ["Admin", "Read", "Write", "List"]}]}


def _takes_writes(store: ObjectStore, bucket: str, process: subprocess.Popen[bytes]) -> bool:
    """Try the first writes, which are refused until its parts have found each other."""
    if process.poll() is not None:
        raise AssertionError(f"the store ended with {process.returncode}")
    try:
        store.create_bucket(bucket)
    except urllib.error.HTTPError as error:
        if error.code != 409:  # there since an earlier try
            return False
    except OSError:
        return False
    try:
        store.put(bucket, "first", b"x")
    except (obstore.exceptions.BaseError, OSError):
        return False
    return True


def _free_ports(count: int) -> list[int]:
    free = (port for port in CANDIDATE_PORTS if _is_free(port) and _is_free(port + GRPC_DISTANCE))
    return [next(free) for _ in range(count)]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End it at once: asked politely, it takes ten seconds to save what is deleted anyway."""
    process.kill()
    process.wait()
