"""`modstream api` in a process of its own, asked with a key as callers ask it."""

import base64
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import orjson

from benchmarks.http_duel import Server
from benchmarks.serving import served
from service.api.callers.api_keys import new_key
from service.api.callers.keys_editing import add_key
from testing.kafka import free_port

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class RunningApi:
    """The API while it runs."""

    url: str
    authorization: str

    def verdicts(self, body: Callable[[bytes], bytes], content_type: str = JSON) -> Server:
        """Return how images are judged."""
        return self._route("/v1/verdicts", body, content_type, answer_has=b'"decision":')

    def chat(self, body: Callable[[bytes], bytes], *, answer_has: bytes) -> Server:
        """Return how the model is asked."""
        return self._route("/v1/chat/completions", body, JSON, answer_has=answer_has)

    def _route(self, path: str, body: Callable[[bytes], bytes], content_type: str, *, answer_has: bytes) -> Server:
        headers = {"Authorization": self.authorization, "Content-Type": content_type}
        return Server(f"modstream, POST {path}", self.url + path, body, answer_has, headers)


@contextmanager
def modstream_api(
    settings: Mapping[str, object], *, environment: Mapping[str, str] = MappingProxyType({})
) -> Iterator[RunningApi]:
    """Run the API with settings and a key of its own."""
    with TemporaryDirectory() as name:
        folder, port, key = Path(name), free_port(), new_key()
        keys, config = folder / "keys.yaml", folder / "modstream.yaml"
        add_key(keys, key.entry)
        own = {"api": {"port": port, "keys_file": str(keys)}, "monitoring": {"port": 0}}
        config.write_bytes(orjson.dumps({**own, **settings}))  # every JSON text is YAML
        command = [sys.executable, "-m", "service", "api", "--config", str(config)]
        url = f"http://127.0.0.1:{port}"
        with served(command, f"{url}/health", folder / "log", environment=environment):
            yield RunningApi(url, f"Bearer {key.text}")


def image_in_json(file: bytes) -> bytes:
    """Return a body with a JPEG inside."""
    return orjson.dumps({"image": {"inline": base64.b64encode(file).decode(), "media_type": "image/jpeg"}})
