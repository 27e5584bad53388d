"""Scripts that were written for another service tag products with the vision-language model: only the address changes.

They name another model, which the operator lists as an alias, and send the image in the short form that vLLM knows.
"""

import asyncio
import importlib
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from testing.http_api import RunningApi
from testing.image_host import ImageHost, hosting_images
from testing.tiny_api import TinyApi
from testing.tiny_model.tiny import model_folder

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROMPT = """\
You write the catalogue of a shop. Look at the product and answer with JSON that has these keys:
category, colors (a list), season, audience, slogan.
"""

WITH_OPENAI = '''
import json

from openai import OpenAI

client = OpenAI(base_url="http://localhost:8080/v1", api_key="not-needed")

IMAGE_URLS = ["http://images.example/shop/1.jpg", "http://images.example/shop/2.jpg", "http://images.example/shop/3.jpg"]
PROMPT = """{prompt}"""

for url in IMAGE_URLS:
    response = client.chat.completions.create(
        model="Qwen/Qwen3-VL-8B-Instruct",
        messages=[
            {{
                "role": "user",
                "content": [{{"type": "image_url", "url": url}}, {{"type": "text", "text": PROMPT}}],
            }}
        ],
        response_format={{"type": "json_object"}},
        temperature=0,
        max_tokens=300,
    )
    tags = json.loads(response.choices[0].message.content)
    print(json.dumps({{"url": url, "tags": tags, "tokens": response.usage.total_tokens}}))
'''

WITH_REQUESTS = '''
import json

import requests

API = "http://localhost:8080/v1/chat/completions"
IMAGE_URLS = ["http://images.example/shop/1.jpg", "http://images.example/shop/2.jpg", "http://images.example/shop/3.jpg"]
PROMPT = """{prompt}"""
SCHEMA = {{
    "type": "object",
    "properties": {{
        "category": {{"enum": ["shirt", "shoes", "hat", "other"]}},
        "colors": {{"type": "array", "items": {{"enum": ["red", "green", "blue", "other"]}}, "maxItems": 3}},
        "season": {{"enum": ["spring", "summer", "autumn", "winter"]}},
        "audience": {{"enum": ["women", "men", "children", "all"]}},
        "slogan": {{"enum": ["Wear it.", "Love it."]}},
    }},
    "required": ["category", "colors", "season", "audience", "slogan"],
    "additionalProperties": False,
}}

for url in IMAGE_URLS:
    response = requests.post(
        API,
        json={{
            "model": "Qwen/Qwen3-VL-8B-Instruct",
            "messages": [
                {{"role": "system", "content": "You tag products."}},
                {{
                    "role": "user",
                    "content": [
                        {{"type": "text", "text": PROMPT}},
                        {{"type": "image_url", "image_url": {{"url": url}}}},
                    ],
                }},
            ],
            "response_format": {{"type": "json_schema", "json_schema": {{"name": "tags", "schema": SCHEMA}}}},
            "max_tokens": 300,
        }},
        timeout=60,
    )
    response.raise_for_status()
    answer = response.json()
    tags = json.loads(answer["choices"][0]["message"]["content"])
    print(json.dumps({{"url": url, "tags": tags, "tokens": answer["usage"]["total_tokens"]}}))
'''


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def host() -> AsyncIterator[ImageHost]:
    async with hosting_images() as host:
        yield host


@pytest.fixture
def api(tiny_api: TinyApi) -> RunningApi:
    return tiny_api.api


async def run(script: str, api: RunningApi, host: ImageHost, folder: Path) -> list[dict[str, Any]]:
    """Run a script in a process of its own, with the addresses of this test's servers."""
    text = script.format(prompt=PROMPT)
    text = text.replace("http://localhost:8080", api.url).replace("http://images.example", host.url)
    path = folder / "tag.py"
    path.write_text(text)
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(path), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    written, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return [json.loads(line) for line in written.decode().splitlines()]


async def test_a_script_with_openais_client_gets_json_for_every_image(
    api: RunningApi, host: ImageHost, tmp_path: Path
) -> None:
    tagged = await run(WITH_OPENAI, api, host, tmp_path)
    assert [line["url"] for line in tagged] == [f"{host.url}/shop/{number}.jpg" for number in (1, 2, 3)]
    assert all(isinstance(line["tags"], dict) and line["tokens"] > 0 for line in tagged)


async def test_a_script_with_plain_requests_gets_what_its_schema_says(
    api: RunningApi, host: ImageHost, tmp_path: Path
) -> None:
    tagged = await run(WITH_REQUESTS, api, host, tmp_path)
    assert len(tagged) == 3
    for line in tagged:
        assert list(line["tags"]) == ["category", "colors", "season", "audience", "slogan"]
        assert line["tags"]["season"] in {"spring", "summer", "autumn", "winter"}


async def test_only_the_routes_of_this_service_can_be_reached(api: RunningApi) -> None:
    async with httpx.AsyncClient(base_url=api.url) as client:
        for path in (
            *("/tokenize", "/detokenize", "/metrics", "/collective_rpc", "/reset_prefix_cache", "/sleep", "/ping"),
            *("/v1/load_lora_adapter", "/v1/completions", "/v1/responses", "/v1/embeddings", "/inference/v1/generate"),
            *("/v1/chat/completions/render", "/v1/chat/completions/batch", "/server_info", "/start_profile"),
        ):
            assert [(await client.post(path, json={})).status_code, (await client.get(path)).status_code] == [404, 404]


async def test_images_are_judged_while_others_chat(api: RunningApi) -> None:
    async with httpx.AsyncClient(base_url=api.url, timeout=60) as client:
        endless = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 600, "seed": 1}
        bias = {"logit_bias": {"1605": -100, "1607": -100}}  # the tokens that end an answer of the tiny model
        chats = [asyncio.create_task(client.post("/v1/chat/completions", json=endless | bias)) for _ in range(6)]
        pictures = [{"image": {"inline": PIXEL, "media_type": "image/png"}}] * 4
        answer = await client.post("/v1/verdicts", json={"images": pictures})
        assert [each["error"] for each in answer.json()["outcomes"]] == [None] * 4
        assert not all(chat.done() for chat in chats)
        lengths = [chat.json()["usage"]["completion_tokens"] for chat in await asyncio.gather(*chats)]
    assert lengths == [600] * 6


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="


async def test_the_dearest_schemas_that_are_accepted_get_an_answer(api: RunningApi) -> None:
    async with httpx.AsyncClient(base_url=api.url, timeout=60) as client:
        for schema in DEAREST:
            form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
            ask = {"messages": [{"role": "user", "content": "x"}], "response_format": form, "max_tokens": 100}
            answer = await client.post("/v1/chat/completions", json=ask)
            assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def vocabulary() -> Any:
    transformers, xgrammar = importlib.import_module("transformers"), importlib.import_module("xgrammar")
    return xgrammar.TokenizerInfo.from_huggingface(transformers.AutoTokenizer.from_pretrained(model_folder()))


# Of the processor and not of the clock: other tests run beside this one.
@pytest.mark.parametrize("number", range(7))
def test_the_dearest_schemas_that_are_accepted_take_the_engine_less_than_two_seconds(
    vocabulary: Any, number: int
) -> None:
    xgrammar = importlib.import_module("xgrammar")
    began_s = time.thread_time()
    compiler = xgrammar.GrammarCompiler(vocabulary, max_threads=1)
    matcher = xgrammar.GrammarMatcher(compiler.compile_json_schema(json.dumps(DEAREST[number]), any_whitespace=False))
    allowed = xgrammar.allocate_token_bitmask(1, vocabulary.vocab_size)
    for _ in range(100):
        if matcher.is_terminated():
            break
        matcher.fill_next_token_bitmask(allowed)
        matcher.accept_token(first_allowed(allowed))
    assert time.thread_time() - began_s < 2.0


def first_allowed(bitmask: Any) -> int:
    """Return the first token whose bit is set in 32-bit words."""
    words: list[int] = bitmask[0].tolist()
    place = next(at for at, word in enumerate(words) if word)
    word = words[place] & 0xFFFFFFFF
    return 32 * place + (word & -word).bit_length() - 1


TEXT = {"type": "string"}


def wide(count: int, each: Any, *, required: bool) -> dict[str, Any]:
    properties = {f"p{number}": each for number in range(count)}
    names = list(properties) if required else []
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}


DEAREST = (
    wide(190, TEXT, required=True),
    wide(16, wide(10, TEXT, required=False), required=False),
    wide(10, {"type": "number", "minimum": -123456.789, "maximum": 987654.321}, required=True),
    wide(20, {"type": "string", "format": "date-time"}, required=True),
    {"type": "array", "items": wide(16, TEXT, required=False), "minItems": 1000},
    {"type": "array", "items": {"type": "array", "items": {"type": "array", "items": TEXT, "maxItems": 1000}}},
    {"enum": [f"{number:05d}" for number in range(1500)]},
)
