"""The HTTP API on vLLM, against `vllm serve`, and against what one would write around its engine in an afternoon.

Each server has an engine of its own with the same settings, model, policy and image, in processes of its own.
"""

import base64
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from benchmarks.api_server import JSON, image_in_json, modstream_api
from benchmarks.http_duel import Duel, Server
from benchmarks.runner import Comparison
from benchmarks.serving import served
from benchmarks.vision.model import prepare_for_a_cpu, require_engine
from benchmarks.vision.photo_events import photograph
from benchmarks.vision.same_engine import engine_arguments, service_settings, vllm_serve
from testing.asking import INSTRUCTIONS
from testing.kafka import free_port

REQUESTS = 192
ROUNDS = 3
CONNECTIONS = 64
"""As many requests as a step of the engine holds."""
CHAT_TOKENS = 64
CHAT_ANSWER = b'"completion_tokens":%d' % CHAT_TOKENS
"""Every answer is cut off there, so that both servers generate equally many tokens."""
MIN_AGAINST_SERVE = 0.9
MIN_AGAINST_ONE_TOKEN = 1.0
MIN_AGAINST_JSON = 2.0
"""Of the rates. Median latencies are promised to be at most their inverse."""

_CATEGORIES = [category.name for category in INSTRUCTIONS.categories]
_JSON = {"Content-Type": JSON}


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Compare the servers, two at a time."""
    require_engine()
    prepare_for_a_cpu()
    numbers = count()

    def photographs(requests: int) -> Sequence[bytes]:
        return [photograph(number) for number in islice(numbers, requests)]

    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        ours = stack.enter_context(modstream_api(service_settings(folder)))
        plain = stack.enter_context(_plain_api(folder))
        bare = Server(
            "vllm serve", stack.enter_context(vllm_serve(folder)) + "/v1/chat/completions", chat, CHAT_ANSWER, _JSON
        )
        verdicts, chats = ours.verdicts(image_in_json), ours.chat(chat, answer_has=CHAT_ANSWER)
        one_token = replace(plain, name="plain FastAPI, one token", url=plain.url + "/one-token")
        written = replace(plain, name="plain FastAPI, scores as JSON", url=plain.url + "/json")
        duel = partial(Duel, files=photographs, requests=REQUESTS, connections=CONNECTIONS, rounds=ROUNDS)
        yield (
            *duel(f"chat, {CHAT_TOKENS} tokens of JSON", (bare, chats)).comparisons(min_ratio=MIN_AGAINST_SERVE),
            *duel("one token", (one_token, verdicts)).comparisons(min_ratio=MIN_AGAINST_ONE_TOKEN),
            *duel("JSON or one token", (written, verdicts)).comparisons(min_ratio=MIN_AGAINST_JSON),
        )


def chat(file: bytes) -> bytes:
    """Return a chat about an image, whose answer in JSON takes more tokens than it may."""
    score = {"type": "integer"}
    schema = {"type": "object", "properties": dict.fromkeys(_CATEGORIES, score), "required": _CATEGORIES}
    content = [
        {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{base64.b64encode(file).decode()}"}},
        {"type": "text", "text": "Score every category from 0 to 100. Answer as JSON."},
    ]
    return orjson.dumps(
        {
            "messages": [{"role": "user", "content": content}],
            "max_tokens": CHAT_TOKENS,
            "temperature": 0.0,
            "response_format": {"type": "json_schema", "json_schema": {"name": "scores", "schema": schema}},
        }
    )


@contextmanager
def _plain_api(folder: Path) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.peers.plain_api", str(port), json.dumps(engine_arguments())]
    url = f"http://127.0.0.1:{port}"
    with served(command, f"{url}/health", folder / "plain_api.log"):
        yield Server("plain FastAPI", url, image_in_json, answer_has=b'"decision":', headers=_JSON)
