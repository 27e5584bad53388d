"""OpenAI's moderation with its official JavaScript client, from npm and unmodified."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from service.cli.try_files import PHOTOGRAPHS
from testing.http_api import RunningApi, running_api
from testing.node_clients import install_node_clients, run_node

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.tool("npm"), pytest.mark.timeout(180)]

CREATE = """
import { readFileSync } from "node:fs";
import OpenAI from "openai";

const client = new OpenAI({ maxRetries: 0 });
try {
  const answer = await client.moderations.create(JSON.parse(readFileSync(0)));
  console.log(JSON.stringify(answer));
} catch (error) {
  if (!(error instanceof OpenAI.BadRequestError)) throw error;
  console.log(JSON.stringify({ status: error.status, code: error.code, param: error.param, type: error.type }));
}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api() -> AsyncIterator[RunningApi]:
    async with running_api() as running:
        yield running


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_node_clients(tmp_path_factory.mktemp("node"))


def photograph(name: str) -> dict[str, Any]:
    data = base64.b64encode((PHOTOGRAPHS / f"{name}.jpg").read_bytes()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}}


async def create(api: RunningApi, packages: Path, body: dict[str, Any]) -> Any:
    variables = {"OPENAI_BASE_URL": f"{api.url}/v1", "OPENAI_API_KEY": api.key}
    return await run_node(packages, CREATE, given=body, **variables)


async def test_the_official_client_reads_an_answer(api: RunningApi, packages: Path) -> None:
    parts = [{"type": "text", "text": "two bottles"}, photograph("cat"), photograph("wine")]

    answer = await create(api, packages, {"model": "omni-moderation-latest", "input": parts})

    (result,) = answer["results"]
    assert result["flagged"]
    assert len(result["categories"]) == 13
    assert result["modstream"]["flagged_by"] == {"alcohol": []}
    assert result["modstream"]["text"]["status"] == "not_judged"


async def test_the_official_client_passes_the_policy_on(api: RunningApi, packages: Path) -> None:
    extra = {"modstream": {"policy": "default", "caption": "two bottles"}}

    answer = await create(api, packages, {"input": [photograph("wine")], **extra})

    assert answer["results"][0]["modstream"]["verdicts"][0]["policy"]["name"] == "default"


async def test_the_official_client_raises_its_own_error(api: RunningApi, packages: Path) -> None:
    parts = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}}]

    error = await create(api, packages, {"input": parts})

    assert error == {
        "status": 400,
        "code": "image.unsupported_format",
        "param": "input.0.image_url",
        "type": "invalid_request_error",
    }
