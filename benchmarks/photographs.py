"""The demo's photographs behind a web server of this machine, and events that name them."""

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import orjson

from benchmarks.peers.photo_server import PHOTOGRAPHS
from benchmarks.peers.running import running
from testing.kafka import free_port

SERVER_START_S = 10.0
ASK_AGAIN_S = 0.1
_NAMES = sorted(path.name for path in PHOTOGRAPHS.glob("*.jpg"))


def by_reference(address: str, number: int) -> bytes:
    """Return an upload event whose image the service has to fetch."""
    url = f"{address}/{_NAMES[number % len(_NAMES)]}"
    return orjson.dumps({"image_id": str(number), "image": {"url": url}})


@contextmanager
def photo_server() -> Iterator[str]:
    """Serve the photographs in a process of its own; yields the server's address."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with running("photo_server", str(port)):
        _wait_for(address)
        yield address


def _wait_for(address: str) -> None:
    deadline = time.monotonic() + SERVER_START_S
    while True:
        try:
            urllib.request.urlopen(f"{address}/")  # noqa: S310 - our own server
        except urllib.error.HTTPError:  # it answers, if only that it lists no folders
            return
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(ASK_AGAIN_S)
