"""Chats with a fleet of servers, as tests send them."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from service.settings.settings import Settings
from testing.openai_server import ModelServer

CHATS = "/v1/chat/completions"
_API = {"share": 0.25, "max_images": 3, "timeout_s": 20.0, "chat": {"max_tokens": 100, "aliases": ["gpt-4o"]}}


def settings(server: ModelServer, *, max_in_flight: int = 8, policies: Path | None = None, **changed: Any) -> Settings:
    fleet = {"base_urls": [server.url], "max_in_flight": max_in_flight, "health_interval_s": 0.05}
    return Settings.model_validate(
        {
            "engine": {"kind": "openai", "openai": fleet},
            "media": {"fetch": {"allow_networks": ["127.0.0.0/8"]}, "decode": {"workers": 2}},
            "policy": {"path": policies},
            "api": _API | changed,
        }
    )


def picture(width: int = 640, height: int = 480) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(file, "jpeg")
    return file.getvalue()


def about(*urls: str, **fields: Any) -> dict[str, Any]:
    images = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    messages = [
        {"role": "system", "content": "You tag."},
        {"role": "user", "content": [*images, {"type": "text", "text": "Describe it"}]},
    ]
    return {"messages": messages, **fields}


def data_url(data: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"
