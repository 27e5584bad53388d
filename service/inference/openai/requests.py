"""Pure: builds the body of a chat completion from a question about an image."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from PIL import Image

from service.core.pixels import RgbPixels
from service.inference.vision.token_model import LabelSource, ModelRequest

ImageFormat = Literal["bmp", "webp", "png"]

# How images are written: without loss, and with the least work.
_WRITING: Mapping[ImageFormat, Mapping[str, Any]] = {
    "bmp": {},
    "webp": {"lossless": True, "quality": 0, "method": 0},
    "png": {"compress_level": 1},
}

MAX_TOP = 20
"""The most likely tokens that OpenAI's API returns at most."""
FEW_TOP = 5
"""The most that older servers and some gateways return."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """The request fields that differ between servers."""

    model: str
    image_format: ImageFormat
    speaks_vllm: bool
    """Whether vLLM's own fields are understood; other servers refuse them."""
    max_top: int = MAX_TOP
    """The most likely tokens that the server returns at most."""


def read_body(ask: ModelRequest, dialect: Dialect, source: LabelSource, tokens: Sequence[int]) -> bytes:
    """Return a request for one token and the log-probabilities of labels' first tokens."""
    named: Mapping[str, Any] = {"return_tokens_as_token_ids": True} if dialect.speaks_vllm else {}
    wanted: Mapping[LabelSource, Mapping[str, Any]] = {
        "exact": {"logprob_token_ids": tokens},
        "allowed": {"allowed_token_ids": tokens, "top_logprobs": min(dialect.max_top, len(tokens))},
        "top": {"top_logprobs": dialect.max_top},
    }
    return _body(ask, dialect, {"max_tokens": 1, "logprobs": True, **named, **wanted[source]})


def write_body(ask: ModelRequest, dialect: Dialect, json_schema: Mapping[str, Any], *, max_tokens: int) -> bytes:
    """Return a request for JSON that follows a schema."""
    if dialect.speaks_vllm:
        # Without the second a weak model writes newlines for ever.
        form = {"structured_outputs": {"json": json_schema, "disable_any_whitespace": True}}
    else:
        schema = {"name": "answer", "schema": json_schema, "strict": True}
        form = {"response_format": {"type": "json_schema", "json_schema": schema}}
    # The probability of each token that is taken is at hand; that of others is not asked for.
    return _body(ask, dialect, {"max_tokens": max_tokens, "logprobs": True, **form})


def _body(ask: ModelRequest, dialect: Dialect, wanted: Mapping[str, Any]) -> bytes:
    image: dict[str, Any] = {"type": "image_url", "image_url": {"url": data_url(ask.pixels, dialect.image_format)}}
    if dialect.speaks_vllm:
        image["uuid"] = ask.image_key  # spares the server the pixels' hash, and finds what it keeps of the image
    messages = [
        {"role": "system", "content": ask.prompt.system},
        {"role": "user", "content": [image, {"type": "text", "text": ask.prompt.question}]},
    ]
    model = ask.adapter or dialect.model  # an adapter is a model of its own to a server
    return orjson.dumps({"model": model, "messages": messages, "temperature": 0, **wanted})


def data_url(pixels: RgbPixels, image_format: ImageFormat) -> str:
    """Return an image as a data URL, encoded without loss."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, image_format, **_WRITING[image_format])
    return f"data:image/{image_format};base64,{base64.b64encode(file.getbuffer()).decode()}"
