"""The HTTP API over the tiny Qwen3-VL in the real vLLM, with adapters, traces and chats."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from service.inference.vision.engine import VisionEngine
from service.settings.settings import Settings
from testing.http_api import RunningApi, running_api
from testing.kafka import free_port
from testing.lora import write_random_adapter
from testing.otlp_receiver import Collector, running_collector
from testing.tiny_model.shapes import ADAPTER
from testing.tiny_model.tiny import adapter_folder, model_folder, policy_file
from testing.vllm import ENVIRONMENT, tiny_settings

if TYPE_CHECKING:
    from service.inference.vllm.model import VllmModel


@dataclass(frozen=True, slots=True)
class TinyApi:
    """The API while it runs, and what receives the spans that vLLM sends."""

    api: RunningApi
    collector: Collector

    @property
    def engine(self) -> VisionEngine:
        """The engine that judges."""
        engine = self.api.plane.engine.main
        assert isinstance(engine, VisionEngine)
        return engine

    @property
    def model(self) -> "VllmModel":
        """The model that the engine asks."""
        model: VllmModel = self.engine._model  # type: ignore[assignment]  # the engine knows its protocol only
        return model


@asynccontextmanager
async def running_tiny_api(folder: Path) -> AsyncIterator[TinyApi]:
    """Run the API without keys; random adapters are written to the folder. It judges whatever is said of noise."""
    os.environ.update(ENVIRONMENT)
    os.environ["OTEL_BSP_SCHEDULE_DELAY"] = "200"  # milliseconds from a span's end to its export
    with running_collector() as collector:
        settings = Settings.model_validate(
            {
                "engine": {
                    "kind": "vllm",
                    "vllm": tiny_settings(adapters=_adapters(folder), max_loras=2).model_dump(),
                    "judging": {"min_label_mass": 0.0},
                },
                "policy": {"path": policy_file(), "default": "shapes"},
                "media": {"fetch": {"allow_networks": ["127.0.0.0/8"]}, "decode": {"workers": 1}},
                "telemetry": {"otlp_endpoint": collector.endpoint},
                "api": {
                    "port": free_port(),
                    "authentication": "none",
                    "max_images": 4,
                    "chat": {"aliases": ["Qwen/Qwen3-VL-8B-Instruct"]},
                },
            }
        )
        async with running_api(settings) as running:
            yield TinyApi(running, collector)


def _adapters(folder: Path) -> tuple[str, ...]:
    """Return two that fit, one of too high a rank, one that is not there, and the one that was trained."""
    model = model_folder()
    first = write_random_adapter(folder / "first", model=model, rank=8)
    second = write_random_adapter(folder / "second", model=model, rank=8, seed=1)
    high = write_random_adapter(folder / "high", model=model, rank=32)
    return (
        *(f"first={first}", f"second={second}", f"high={high}", f"missing={folder / 'nowhere'}"),
        f"{ADAPTER}={adapter_folder()}",
    )
