"""Python programs of pages about other services, as they stand there."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from service.cli.try_files import PHOTOGRAPHS
from testing.document_blocks import blocks_of
from testing.http_api import RunningApi, running_api

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api() -> AsyncIterator[RunningApi]:
    async with running_api() as running:
        yield running


async def run_program(page: str, api: RunningApi, packages: Path) -> str:
    """Run the only program of a page with packages from a folder; return what it prints."""
    (program,) = (block.text for block in blocks_of(ROOT / "docs" / page) if block.language == "python")
    places = {"http://127.0.0.1:8080": api.url, "KEY": api.key, "wine.jpg": str(PHOTOGRAPHS / "wine.jpg")}
    for place, actual in places.items():
        program = program.replace(place, actual)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env={"PYTHONPATH": str(packages)}, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), timeout=60)
    return output.decode()


async def test_a_caller_of_rekognition_gets_labels_and_a_decision(api: RunningApi, tmp_path: Path) -> None:
    printed = await run_program("http-rekognition.md", api, tmp_path)
    assert re.fullmatch(r"review \[\{'Name': 'alcohol', 'Confidence': 9\d\.\d+\}\]\n", printed)


async def test_the_classifier_of_threatexchange_asks_modstream(api: RunningApi, tmp_path: Path) -> None:
    install_threatexchange(tmp_path)
    assert re.fullmatch(r"False \d\.\d\d%\n", await run_program("review-tools.md", api, tmp_path))


def install_threatexchange(folder: Path) -> None:
    (pip,) = (ROOT / "requirements" / "bootstrap").glob("pip-*.whl")
    options = ("--quiet", "--no-deps", "--require-hashes", "--target", str(folder))
    packages = ("--requirement", str(ROOT / "testing" / "threatexchange.txt"))
    subprocess.run([sys.executable, f"{pip}/pip", "install", *options, *packages], check=True)
