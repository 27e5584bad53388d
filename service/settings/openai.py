"""Settings of the remote engine: servers with OpenAI's API, `vllm serve` first."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from service.settings.types import Group, Positive, PositiveSeconds, is_endpoint, settings_conflict


def _base_urls(texts: tuple[str, ...]) -> tuple[str, ...]:
    if not texts:
        raise PydanticCustomError("value_error", "at least one server has to be named")
    for text in texts:
        if not is_endpoint(text):
            message = '"{text}" is no base URL such as http://gpu-1:8000, without user and query'
            raise PydanticCustomError("value_error", message, {"text": text})
    urls = tuple(text.rstrip("/").removesuffix("/v1") for text in texts)
    if len(set(urls)) < len(urls):
        raise PydanticCustomError("value_error", "a server stands here twice, but would be asked as one")
    return urls


BaseUrls = Annotated[tuple[str, ...], AfterValidator(_base_urls)]


class OpenAISettings(Group):
    """A model behind HTTP: one or more servers, such as `vllm serve`, that all serve the same model."""

    base_urls: BaseUrls = ("http://127.0.0.1:8000",)
    """Of the servers, with or without /v1 at the end; where `vllm serve` listens by default. Each request goes to the
    one with the fewest in flight."""
    api_key: SecretStr | None = None
    """API key, sent to every server as a bearer token. When not set, none is sent."""
    model: str | None = None
    """Name of the model at the servers. When not set, the servers must serve a single model."""
    revision: str | None = None
    """Revision of the model, for verdicts: servers do not report it. "unknown" when not set."""
    precision: str | None = None
    """Precision of the weights, such as fp8-block, for verdicts: servers do not report it. "unknown" when not set."""
    label_source: Literal["auto", "exact", "allowed", "top"] = "auto"
    """How scores are read. exact: the probability of every label (`logprob_token_ids`, vLLM). allowed: an answer that
    is restricted to the labels (`allowed_token_ids`, and probabilities after the restriction). top: the labels among
    the 20 likeliest tokens. auto: the first of these that all servers offer."""
    image_format: Literal["bmp", "webp", "png"] = "bmp"
    """All are lossless. Writing and reading a photograph of 512 × 512 pixels takes 2 ms of CPU as bmp, 19 ms as webp,
    36 ms as png, for 770, 330 and 430 KB: bmp spares the server's one thread for images, the others a slow network."""
    max_in_flight: Positive = 128
    """Requests in flight at each server. The default is two batches of 16,384 tokens at 256 an image."""
    request_timeout_s: PositiveSeconds = 25.0
    """Time limit for one response. Then another server is asked, for which `engine.timeout_s` leaves time."""
    connect_timeout_s: PositiveSeconds = 3.0
    """Time limit for a new connection. A lost packet is sent again after 1 s."""
    startup_timeout_s: PositiveSeconds = 900.0
    """Time limit until the first server answers, which may have to download and load its model before."""
    health_interval_s: PositiveSeconds = 5.0
    """Interval between two checks of a server's /health. Failed requests are noticed at once."""
    eject_after: Positive = 3
    """Failures in a row after which a server is asked a question of the service's own; if it fails that as well, it
    gets no more requests. A request that would be given up has its server asked at once."""
    return_after_s: PositiveSeconds = 1.0
    """Until an ejected server is checked again, and a busy one (429, 503) that does not say how long gets requests
    again; twice as long after each time that it fails again."""
    max_return_after_s: PositiveSeconds = 30.0
    """No pause is longer, not even one that a busy server asks for by Retry-After: a server that is back is used within
    this time."""

    @model_validator(mode="after")
    def _pauses_grow(self) -> Self:
        if self.max_return_after_s < self.return_after_s:
            message = "max_return_after_s must not be under return_after_s"
            raise settings_conflict(message, "max_return_after_s", "return_after_s")
        return self
