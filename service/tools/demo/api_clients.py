"""Clients that people have, as they use them: curl, and OpenAI's for Python."""

import asyncio
import base64
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.tags import TagsV1
from schemas.verdict import VerdictV1
from service.tools.demo.api_process import DemoApi
from service.tools.demo.processes import DemoFailedError

MODEL = "omni-moderation-latest"
"""What clients of OpenAI name; the service judges with its own."""

_TIMEOUT_S = 60
_NO_PROXY = ("--noproxy", "*")


@dataclass(frozen=True, slots=True)
class CurlAnswer:
    """The answer of /v1/verdicts for a photograph."""

    verdict: VerdictV1 | None
    tags: TagsV1 | None
    error: str
    """Empty beside a verdict."""


@dataclass(frozen=True, slots=True)
class OpenAIAnswer:
    """The answer of /v1/moderations for a photograph."""

    flagged: bool
    scores: Mapping[str, float]
    """By OpenAI's categories."""
    flagged_by: Sequence[str]
    """The policy's categories, from the key that modstream adds."""
    error: str
    """Empty beside a result."""


async def page_status(api: DemoApi) -> str:
    """Return the HTTP status of the page."""
    return await _curl("--output", "/dev/null", "--write-out", "%{http_code}", f"{api.url}/")


async def ask_by_curl(api: DemoApi, photograph: Path) -> CurlAnswer:
    """Send a photograph as a form with a file, and return its verdict and tags."""
    printed = await _curl(
        *("--header", f"Authorization: Bearer {api.key}"),
        *("--form", f"image=@{photograph}", "--form", "tasks=moderation,tags"),
        f"{api.url}/v1/verdicts",
    )
    try:
        answer = json.loads(printed)
        if answer.get("error"):
            return CurlAnswer(None, None, str(answer["error"]["message"]))
        return CurlAnswer(VerdictV1.model_validate(answer["verdict"]), TagsV1.model_validate(answer["tags"]), error="")
    except (ValueError, KeyError, TypeError, AttributeError):
        return CurlAnswer(None, None, printed or "no answer")


async def _curl(*arguments: str) -> str:
    """Run curl and return what it prints; its own messages, if it prints nothing."""
    if shutil.which("curl") is None:
        raise DemoFailedError("curl is not installed, and the demo shows what it is answered: install it")
    process = await asyncio.create_subprocess_exec(
        *("curl", "--silent", "--show-error", "--max-time", str(_TIMEOUT_S), *_NO_PROXY, *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, complained = await process.communicate()
    return (printed or complained).decode(errors="replace").strip()


async def ask_by_openai(api: DemoApi, photographs: Sequence[Path]) -> list[OpenAIAnswer]:
    """Send photographs by OpenAI's client, one after the other."""
    try:
        import openai  # noqa: PLC0415 # comes with the extra "demo" only
    except ImportError:
        raise DemoFailedError(
            "OpenAI's client is not installed: run 'make demo-api', or 'pip install openai'"
        ) from None

    def ask() -> list[OpenAIAnswer]:
        # A proxy of the environment knows no way to this machine's own address.
        with openai.OpenAI(
            base_url=f"{api.url}/v1",
            api_key=api.key,
            timeout=_TIMEOUT_S,
            http_client=openai.DefaultHttpxClient(trust_env=False),
        ) as client:
            return [_moderated(client, photograph, openai.OpenAIError) for photograph in photographs]

    return await asyncio.to_thread(ask)


def _moderated(client: Any, photograph: Path, failure: type[Exception]) -> OpenAIAnswer:
    url = f"data:image/jpeg;base64,{base64.b64encode(photograph.read_bytes()).decode()}"
    image = {"type": "image_url", "image_url": {"url": url}}
    try:
        (result,) = client.moderations.create(model=MODEL, input=[image]).results
    except failure as error:
        return OpenAIAnswer(flagged=False, scores={}, flagged_by=(), error=str(error))
    return OpenAIAnswer(
        flagged=result.flagged,
        scores=result.category_scores.model_dump(by_alias=True),
        flagged_by=tuple(result.model_extra["modstream"]["flagged_by"]),
        error="",
    )
