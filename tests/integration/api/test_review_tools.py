"""Review tools that ask OpenAI's moderation, against modstream: docs/review-tools.md."""

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from service.policy.taxonomy import CATEGORIES, NAMES
from service.settings.api import ApiSettings, ModerationsSettings
from service.settings.media import FetchSettings, MediaSettings
from service.settings.settings import Settings
from testing.document_blocks import blocks_of
from testing.http_api import RunningApi, running_api
from testing.image_host import ImageHost, hosting_images
from testing.node_clients import install_node_clients, run_node

ROOT = Path(__file__).parents[3]
PLUGIN = ROOT / "deploy" / "coop"
PAGE = ROOT / "docs" / "review-tools.md"
LOCAL = MediaSettings(fetch=FetchSettings(allow_networks=("127.0.0.0/8",)))

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.tool("npm"), pytest.mark.timeout(180)]

# Instead of a line in the hosts file, and of port 443, which not every user may open.
HOST_MAPPING = """
const dns = require("node:dns");
const tls = require("node:tls");
const { lookup } = dns;
const { connect } = tls;
dns.lookup = (name, ...rest) => lookup(name === "api.openai.com" ? "127.0.0.1" : name, ...rest);
tls.connect = (options, ...rest) => connect({ ...options, port: Number(process.env.API_PORT) }, ...rest);
"""

# What Coop's signals send, by its HTTP client: the address stands in its source.
COOP_SIGNAL = """
import { readFileSync } from "node:fs";
import { Agent, fetch } from "undici";

const { key, input } = JSON.parse(readFileSync(0));
try {
  const response = await fetch("https://api.openai.com/v1/moderations", {
    method: "post",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${key}` },
    body: JSON.stringify({ model: "omni-moderation-latest", input }),
    dispatcher: new Agent({ connections: 2000, maxResponseSize: 5 * 1024 ** 2 }),
    signal: AbortSignal.timeout(5000),
  });
  console.log(JSON.stringify({ status: response.status, body: await response.json() }));
} catch (error) {
  console.log(JSON.stringify({ failed: error.cause?.code ?? String(error) }));
}
process.exit();
"""

# How Coop loads a plug-in and runs its signals.
COOP_PLUGIN = """
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { folder, config, images, types } = JSON.parse(readFileSync(0));
const plugin = createRequire(import.meta.url)(folder);
const context = { integrationId: plugin.manifest.id, getCredential: async () => config };
const signals = Object.fromEntries(plugin.createSignals(context).map((each) => [each.signalTypeId, each.signal]));
const results = {};
for (const type of types) {
  results[type] = [];
  for (const url of images) {
    try {
      results[type].push(await signals[type].run({ orgId: "org", value: { type: "IMAGE", value: { url } } }));
    } catch (error) {
      results[type].push(error.message);
    }
  }
}
const disabled = await Promise.all(Object.values(signals).map((signal) => signal.getDisabledInfo("org")));
const descriptions = Object.fromEntries(Object.entries(signals).map(([type, each]) => [type, each.description]));
console.log(JSON.stringify({ manifest: plugin.manifest, descriptions, results, disabled }));
process.exit();
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_node_clients(tmp_path_factory.mktemp("node"))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the certificates as the page says."""
    folder = tmp_path_factory.mktemp("certificates")
    (commands,) = (block.text for block in blocks_of(PAGE) if "openssl" in block.text)
    subprocess.run(["bash", "-ec", commands], cwd=folder, check=True, capture_output=True)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def images() -> AsyncIterator[ImageHost]:
    async with hosting_images() as host:
        yield host


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api() -> AsyncIterator[RunningApi]:
    async with running_api(Settings(media=LOCAL)) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api_for_openai(certificates: Path) -> AsyncIterator[RunningApi]:
    settings = ApiSettings(
        tls_certificate=certificates / "tls.pem",
        tls_key=certificates / "tls.key",
        moderations=ModerationsSettings(text="refuse"),
    )
    async with running_api(Settings(api=settings, media=LOCAL)) as running:
        yield running


@pytest.fixture
def ask_openai(api_for_openai: RunningApi, packages: Path, certificates: Path) -> Any:
    """Return a function that sends what Coop sends to api.openai.com, from a machine that maps the name to the API."""
    mapping = packages / "host_mapping.cjs"
    mapping.write_text(HOST_MAPPING, encoding="utf-8")

    async def ask(part: dict[str, Any], *, trusts: Path | None = certificates / "ca.pem") -> Any:
        variables = {"API_PORT": str(api_for_openai.run.port)}
        if trusts is not None:
            variables["NODE_EXTRA_CA_CERTS"] = str(trusts)
        given = {"key": api_for_openai.key, "input": [part]}
        return await run_node(packages, COOP_SIGNAL, "--require", str(mapping), given=given, **variables)

    return ask


async def test_coop_asks_modstream_by_a_host_mapping(ask_openai: Any, images: ImageHost) -> None:
    answer = await ask_openai({"type": "image_url", "image_url": {"url": f"{images.url}/photo/wine/1"}})

    assert answer["status"] == 200
    scores = answer["body"]["results"][0]["category_scores"]
    assert 0 < scores["sexual"] < 1


async def test_a_text_signal_of_coop_fails_instead_of_scoring_zero(ask_openai: Any) -> None:
    answer = await ask_openai({"type": "text", "text": "a comment"})

    assert (answer["status"], answer["body"]["error"]["code"]) == (400, "moderation.text_refused")


async def test_without_our_authority_coop_refuses_the_certificate(ask_openai: Any) -> None:
    answer = await ask_openai({"type": "text", "text": "a comment"}, trusts=None)

    assert answer == {"failed": "UNABLE_TO_VERIFY_LEAF_SIGNATURE"}


async def run_plugin(packages: Path, config: dict[str, Any], *, images: list[str], types: list[str]) -> Any:
    given = {"folder": str(PLUGIN), "config": config, "images": images, "types": types}
    return await run_node(packages, COOP_PLUGIN, given=given)


async def test_the_plug_in_has_a_signal_for_every_category(packages: Path) -> None:
    answer = await run_plugin(packages, {}, images=[], types=[])

    types = {name: f"MODSTREAM_{name.upper()}" for name in NAMES}
    assert answer["manifest"]["signalTypeIds"] == ["MODSTREAM_FLAGGED", *types.values()]
    assert answer["descriptions"].keys() == set(answer["manifest"]["signalTypeIds"])
    for category in CATEGORIES:
        assert answer["descriptions"][types[category.name]].startswith(category.description)
    assert {each["disabled"] for each in answer["disabled"]} == {True}


async def test_the_plug_in_gives_coop_scores_decisions_and_errors(
    api: RunningApi, images: ImageHost, packages: Path
) -> None:
    config = {"url": api.url, "apiKey": api.key, "policy": "default"}
    urls = [f"{images.url}/photo/{name}/1" for name in ("wine", "cat")] + [f"{images.url}/missing/1"]
    types = ["MODSTREAM_FLAGGED", "MODSTREAM_ALCOHOL", "MODSTREAM_VIOLENCE"]

    answer = await run_plugin(packages, config, images=urls, types=types)

    flagged, alcohol, violence = (answer["results"][type_] for type_ in types)
    assert [each["score"] for each in flagged[:2]] == [True, False]
    assert alcohol[0]["score"] > 0.9
    assert alcohol[1]["score"] < 0.1
    assert alcohol[0]["outputType"] == {"scalarType": "NUMBER"}
    assert "no score for violence" in violence[0]
    assert all("422 image.not_found" in each[2] for each in (flagged, alcohol, violence))
    assert {each["disabled"] for each in answer["disabled"]} == {False}
