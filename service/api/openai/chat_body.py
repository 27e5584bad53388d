"""The body of a chat completion: OpenAI's fields, as far as they are safe for an engine that others share.

A field that is not listed is refused by its name. What a field may hold is bounded here, or by the settings in
`chat_reading`. Fields that change nothing for this service are accepted and ignored, because clients send them unasked.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from service.api.openai.chat_messages import ChatPart, Message

_MAX_CHOICES = 4
_MAX_MESSAGES = 256
_MAX_STOPS = 4
_MAX_STOP_CHARACTERS = 128
_MAX_BIASES = 300
_MAX_NAME_CHARACTERS = 256


class TextFormat(ChatPart):
    """Text as the model writes it."""

    type: Literal["text"]


class JsonObjectFormat(ChatPart):
    """Any JSON object."""

    type: Literal["json_object"]


class NamedSchema(ChatPart):
    """A JSON schema, as far as engines compile it quickly."""

    name: str = Field(default="answer", pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    description: str | None = None
    json_schema: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class JsonSchemaFormat(ChatPart):
    """JSON that follows a schema."""

    type: Literal["json_schema"]
    json_schema: NamedSchema


ResponseFormat = Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")]
Stop = Annotated[str, Field(min_length=1, max_length=_MAX_STOP_CHARACTERS)]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Stops = Annotated[
    list[Stop], Field(max_length=_MAX_STOPS), BeforeValidator(_as_list, json_schema_input_type=Stop | list[Stop])
]
TokenId = Annotated[str, Field(pattern=r"^\d{1,9}$")]
Biases = Annotated[dict[TokenId, Annotated[float, Field(ge=-100, le=100)]], Field(max_length=_MAX_BIASES)]
Penalty = Annotated[float, Field(ge=-2.0, le=2.0)]
Count = Annotated[int, Field(ge=1)]


class StreamOptions(ChatPart):
    """What a streamed answer has beside its text."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = Field(default=None, description="Accepted and ignored.")


class _Ignored(ChatPart):
    """Fields that change nothing here."""

    user: str | None = Field(default=None, deprecated=True)
    safety_identifier: str | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = Field(default=None, description="Nothing is stored.")
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    parallel_tool_calls: bool | None = None
    modalities: list[Literal["text"]] | None = None
    tools: None = Field(default=None, description="Tools are not supported.")
    tool_choice: Literal["none"] | None = None


class ChatCompletionRequest(_Ignored):
    """A chat. Fields that are not listed are refused; null counts as missing."""

    messages: list[Message] = Field(min_length=1, max_length=_MAX_MESSAGES)
    model: str | None = Field(default=None, max_length=_MAX_NAME_CHARACTERS, description="See /v1/models.")
    max_tokens: Count | None = Field(default=None, description="At most api.chat.max_tokens.")
    max_completion_tokens: Count | None = Field(default=None, description="At most api.chat.max_tokens.")
    n: int | None = Field(default=None, ge=1, le=_MAX_CHOICES)
    response_format: ResponseFormat | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(default=None, ge=0.0, le=2.0)
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: Stops | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    logit_bias: (
        Annotated[dict[TokenId, Annotated[float, Field(ge=-100, le=100)]], Field(max_length=_MAX_BIASES)] | None
    ) = None
    top_k: int | None = Field(default=None, ge=0, le=1000, description="vLLM's; 0 takes all tokens.")
    min_p: float | None = Field(default=None, ge=0.0, le=1.0, description="vLLM's.")
    # Far below 0.5 its inverse overflows, and a probability that is not a number ends the engine.
    repetition_penalty: float | None = Field(default=None, ge=0.5, le=2.0, description="vLLM's.")


_OPTIONS = frozenset(
    {
        *("n", "response_format", "temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "stop"),
        *("logprobs", "top_logprobs", "logit_bias", "top_k", "min_p", "repetition_penalty"),
    }
)
"""Fields that are passed on as they are."""


def options_of(body: ChatCompletionRequest) -> dict[str, Any]:
    """Return the fields for the engine, without messages, model and stream."""
    options = body.model_dump(mode="json", include=set(_OPTIONS), exclude_none=True, by_alias=True)
    if limit := body.max_completion_tokens or body.max_tokens:
        options["max_completion_tokens"] = limit
    return options
