"""Settings of shadows: policies and an engine that are tried on live traffic and decide nothing."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from service.settings.openai import OpenAISettings
from service.settings.types import MIB, Group, Positive, PositiveSeconds

_OF_THIS_PROCESS = frozenset({"vllm", "onnx"})


def _outside(kind: object) -> object:
    if kind in _OF_THIS_PROCESS:
        message = "such an engine would share this process and its memory: serve the model beside it and take openai"
        raise PydanticCustomError("value_error", message)
    return kind


class ShadowEngineSettings(Group):
    """A second engine, or an adapter, that looks at a share of the images after their verdicts."""

    kind: Annotated[Literal["none", "adapter", "openai"], BeforeValidator(_outside)] = "none"
    """none: there is no shadow engine. adapter: the engine that judges, with another LoRA adapter. openai: a model
    behind HTTP, whose failures end nothing here."""
    adapter: str | None = None
    """The LoRA adapter: for the kind adapter one of `engine.vllm.adapters`, or of the servers; for the kind openai
    optional."""
    openai: OpenAISettings = OpenAISettings()
    share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.05
    """Share of the images that it looks at, chosen by their ids: the same ones in every process."""
    seed: str = ""
    """Another text chooses other images."""
    max_in_flight: Annotated[int, Field(gt=0, le=1024)] = 4
    """Images that it judges at the same time."""
    max_waiting: Annotated[int, Field(ge=0)] = 16
    """Images that wait for it. Further ones are left out, and counted."""
    max_bytes: Positive = 64 * MIB
    """Pixels and events that its images hold, beside `window.max_bytes`. An image that finds no room is left out."""
    timeout_s: PositiveSeconds = 30.0
    """Time limit for one image."""


class ShadowSettings(Group):
    """Policies and an engine that are tried on live traffic: they decide beside the live ones and change nothing."""

    policies: Path | None = None
    """A policy file in YAML, or a folder of them. When not set, no policy is tried. A policy with the name of a live
    one is tried on the images of that one, any other on all images, or those of its `tenants`."""
    loop_share: Annotated[float, Field(gt=0.0, le=0.5)] = 0.01
    """Share of the event loop's time that the policies may take. What does not fit is left out, and counted."""
    max_waiting: Positive = 2000
    """Verdicts that wait for the policies. Further ones are left out, and counted."""
    engine: ShadowEngineSettings = ShadowEngineSettings()

    @property
    def is_on(self) -> bool:
        """Whether anything is tried."""
        return self.policies is not None or self.engine.kind != "none"
