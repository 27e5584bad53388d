"""`python -m benchmarks.peers.plain_api PORT ENGINE`: a moderation API as one would write it in an afternoon.

FastAPI around vLLM's `AsyncLLM`, with the service's own prompts. `/one-token` takes the category from the first token's
probabilities, `/json` asks for every category's score as JSON.
"""

import asyncio
import base64
import io
import json
import math
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from PIL import Image
from pydantic import BaseModel
from vllm import AsyncEngineArgs, SamplingParams
from vllm.config.structured_outputs import StructuredOutputsConfig
from vllm.outputs import CompletionOutput
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
from vllm.v1.engine.async_llm import AsyncLLM

from service.inference.vision.prompt import Prompter, prompter
from testing.tiny_model.shapes import INSTRUCTIONS

BLOCK = 0.5
# More than the longest answer takes.
MAX_JSON_TOKENS = 1024
JSON_QUESTION = "Score every category from 0 to 100. Answer as JSON."
TOP_LOGPROBS = 20


class ImagePart(BaseModel):
    """An image in base64."""

    inline: str
    media_type: str


class Upload(BaseModel):
    """The body of a request."""

    image: ImagePart


class Moderator:
    """Asks the engine about images."""

    def __init__(self, engine: AsyncLLM, asker: Prompter) -> None:
        self._engine = engine
        self._asker = asker
        self._categories = [category.name for category in asker.instructions.categories]

    async def category_scores(self, upload: Upload) -> dict[str, float]:
        """Return the probability of each category, read off one token."""
        params = SamplingParams(
            max_tokens=1, temperature=0.0, logprobs=TOP_LOGPROBS, output_kind=RequestOutputKind.FINAL_ONLY
        )
        output = await self._ask(upload, self._asker.which(None).question, params)
        if not output.logprobs:
            raise RuntimeError("an answer without probabilities")
        probabilities = {each.decoded_token: math.exp(each.logprob) for each in output.logprobs[0].values()}
        return {
            category: probabilities.get(label, 0.0)
            for label, category in self._asker.labels.items()
            if category is not None
        }

    async def written_scores(self, upload: Upload) -> dict[str, float]:
        """Return the score of each category, written by the model as JSON."""
        score = {"type": "integer", "minimum": 0, "maximum": 100}
        schema = {
            "type": "object",
            "properties": dict.fromkeys(self._categories, score),
            "required": self._categories,
            "additionalProperties": False,
        }
        params = SamplingParams(
            max_tokens=MAX_JSON_TOKENS,
            temperature=0.0,
            structured_outputs=StructuredOutputsParams(json=schema),
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        output = await self._ask(upload, JSON_QUESTION, params)
        return {category: score / 100 for category, score in json.loads(output.text).items()}

    async def _ask(self, upload: Upload, question: str, params: SamplingParams) -> CompletionOutput:
        image = await asyncio.to_thread(_decode, upload.image.inline)
        prompt = {"prompt": self._chat(question), "multi_modal_data": {"image": image}}
        async for answer in self._engine.generate(prompt, params, uuid.uuid4().hex):
            return answer.outputs[0]
        raise RuntimeError("no answer")

    def _chat(self, question: str) -> str:
        content = [{"type": "image"}, {"type": "text", "text": question}]
        chat = [{"role": "system", "content": self._asker.system}, {"role": "user", "content": content}]
        text: str = self._engine.get_tokenizer().apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        return text


def _decode(encoded: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")


def _verdict(scores: dict[str, float]) -> dict[str, Any]:
    blocked = [category for category, score in scores.items() if score >= BLOCK]
    return {"decision": "block" if blocked else "allow", "categories": blocked, "scores": scores}


def build_app(engine_arguments: dict[str, Any]) -> FastAPI:
    """Return the application, which loads the model when it starts."""
    moderator: Moderator | None = None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        nonlocal moderator
        # White space could go on until the answer is cut off.
        structured = StructuredOutputsConfig(backend="xgrammar", disable_any_whitespace=True)
        arguments = AsyncEngineArgs(**engine_arguments, structured_outputs_config=structured)
        engine = AsyncLLM.from_engine_args(arguments)
        moderator = Moderator(engine, prompter(INSTRUCTIONS))
        yield
        engine.shutdown()

    app = FastAPI(lifespan=lifespan)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/one-token")
    async def one_token(upload: Upload) -> dict[str, Any]:
        assert moderator is not None  # noqa: S101 - the lifespan sets it
        return _verdict(await moderator.category_scores(upload))

    @app.post("/json")
    async def written(upload: Upload) -> dict[str, Any]:
        assert moderator is not None  # noqa: S101 - as above
        return _verdict(await moderator.written_scores(upload))

    return app


if __name__ == "__main__":
    uvicorn.run(build_app(json.loads(sys.argv[2])), host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop")
