"""Generated requests for every operation of the OpenAPI document: each answer is one that the document describes."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from testing.http_api import running_api

ROOT = Path(__file__).parents[3]
HOOKS = "tests.integration.api.schemathesis_hooks"
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.timeout(300)
async def test_generated_requests_get_the_answers_that_the_document_describes(tmp_path: Path) -> None:
    async with running_api() as api:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("schemathesis")),
            *("--config-file", str(CONFIGURATION), "run", f"{api.url}/openapi.json"),
            *("--header", f"Authorization: Bearer {api.key}", "--max-examples", "20", "--seed", "1"),
            *("--continue-on-failure", "--no-color", "--request-timeout", "30"),
            cwd=tmp_path,  # where it leaves its cache
            env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": HOOKS},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-6000:]
