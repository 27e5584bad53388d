"""Probes what a server serves, and how labels can be read from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import structlog

from service.core.errors import FatalError
from service.inference.errors import EngineConfigurationError, EngineFailedError, UnknownAdapterError
from service.inference.openai.answers import Answer
from service.inference.openai.client import OpenAIClient
from service.inference.openai.completions import ROUNDING, check_answer, first_step, is_incomplete, of_words, others
from service.inference.openai.fleet import Server
from service.inference.openai.requests import FEW_TOP, Dialect, read_body
from service.inference.openai.tokens import first_tokens
from service.inference.vision.prompt import Prompt
from service.inference.vision.token_model import LabelSource, ModelRequest
from service.settings.openai import OpenAISettings

log = structlog.get_logger(__name__)

SOURCES: Sequence[LabelSource] = ("exact", "allowed", "top")
"""Best first."""

_MAX_NAMED = 10
"""Models that a message names: a gateway may list thousands."""
_MAX_NAME_CHARACTERS = 100

_WORDS = ("A", "B")
_ASK = ModelRequest(
    request_id="probe",
    prompt=Prompt("Answer with one letter.", "A or B?"),
    # Small, and large enough for every model that looks at patches.
    pixels=np.full((64, 64, 3), 128, np.uint8),
    image_key="modstream-probe",
    adapter=None,
)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model in a server's list."""

    name: str
    owner: str
    is_adapter: bool


@dataclass(frozen=True, slots=True)
class ServerCapabilities:
    """The model of one server, and the ways of reading labels that it offers."""

    dialect: Dialect
    tokenizes: bool
    label_source: LabelSource


async def probe(client: OpenAIClient, server: Server, settings: OpenAISettings) -> ServerCapabilities:
    """Find out what a server is.

    Raises `EngineConfigurationError` if it cannot be used with these settings, `EngineFailedError` if it does not
    answer as it should yet.
    """
    dialect = _dialect(server, await served_models(client, server), settings)
    tokens = await first_tokens(client, server, dialect.model, _WORDS)
    wanted = SOURCES if settings.label_source == "auto" else (settings.label_source,)
    for source in wanted:
        offered = await _offered(client, server, dialect, source, tokens)
        if offered is not None:
            return ServerCapabilities(offered, tokenizes=tokens is not None, label_source=source)
    detail = f"{server.name} does not offer this ({', '.join(wanted)})"
    raise EngineConfigurationError(setting="engine.openai.label_source", detail=detail)


def agreed(found: Mapping[Server, ServerCapabilities]) -> ServerCapabilities:
    """Return the capabilities that all servers share; raise `EngineConfigurationError` if their models differ."""
    models = {found.dialect.model: server.name for server, found in found.items()}
    if len(models) > 1:
        served = ", ".join(f"{server} serves {model}" for model, server in models.items())
        raise EngineConfigurationError(setting="engine.openai.model", detail=f"not set, and {served}: name one")
    first = next(iter(found.values()))
    speaks_vllm = all(found.dialect.speaks_vllm for found in found.values())
    max_top = min(found.dialect.max_top for found in found.values())
    return ServerCapabilities(
        replace(first.dialect, speaks_vllm=speaks_vllm, max_top=max_top),
        tokenizes=all(found.tokenizes for found in found.values()),
        label_source=max((found.label_source for found in found.values()), key=SOURCES.index),
    )


def unlike(fleet: ServerCapabilities, found: ServerCapabilities, server: Server) -> EngineConfigurationError | None:
    """Return the reason why a server lacks the fleet's capabilities; None if it has them."""
    if found.dialect.model != fleet.dialect.model:
        detail = f"{server.name} serves {found.dialect.model}, and the others {fleet.dialect.model}"
        return EngineConfigurationError(setting="engine.openai.model", detail=detail)
    is_worse = SOURCES.index(found.label_source) > SOURCES.index(fleet.label_source)
    has_fewer = found.dialect.max_top < fleet.dialect.max_top
    speaks_less = fleet.dialect.speaks_vllm > found.dialect.speaks_vllm
    if is_worse or has_fewer or speaks_less or fleet.tokenizes > found.tokenizes:
        detail = f"{server.name} offers less ({found.label_source}) than the others ({fleet.label_source})"
        return EngineConfigurationError(setting="engine.openai.label_source", detail=detail)
    return None


async def served_models(client: OpenAIClient, server: Server) -> Sequence[ServedModel]:
    """Return the models that a server lists; errors as for `probe`."""
    answer = await client.exchange(server, "/v1/models")
    if not answer.succeeded:
        raise answer.failure()
    listed = answer.json().get("data")
    if not isinstance(listed, list):
        raise EngineFailedError(detail=f"{server.name} lists no models")
    return [
        # vLLM lists an adapter with its model as parent.
        ServedModel(name=card["id"], owner=_owner(card), is_adapter=bool(card.get("parent")))
        for card in listed
        if isinstance(card, dict) and isinstance(card.get("id"), str)
    ]


def _listed(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    shown = ", ".join(name[:_MAX_NAME_CHARACTERS] for name in names[:_MAX_NAMED]) or "nothing"
    return f"{shown} and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else shown


def _owner(card: Mapping[str, Any]) -> str:
    owner = card.get("owned_by")
    return owner if isinstance(owner, str) else ""


async def check_adapter(client: OpenAIClient, server: Server, adapter: str) -> None:
    """Raise `UnknownAdapterError` if a server does not list an adapter; else errors as for `probe`."""
    names = [card.name for card in await served_models(client, server)]
    if adapter not in names:
        raise UnknownAdapterError(name=adapter, detail=f"{server.name} serves {_listed(names)}")


def _dialect(server: Server, served: Sequence[ServedModel], settings: OpenAISettings) -> Dialect:
    models = {card.name: card for card in served if not card.is_adapter}
    names = _listed(list(models))
    if settings.model is None and len(models) != 1:
        detail = f"not set, and {server.name} serves {names}: name one"
        raise EngineConfigurationError(setting="engine.openai.model", detail=detail)
    name = settings.model or next(iter(models))
    if name not in models:
        detail = f"{server.name} serves {names}, not {name}"
        raise EngineConfigurationError(setting="engine.openai.model", detail=detail)
    return Dialect(name, settings.image_format, speaks_vllm=models[name].owner == "vllm")


async def check_largest(client: OpenAIClient, server: Server, dialect: Dialect, largest: ModelRequest) -> None:
    """Raise `EngineConfigurationError` if a server refuses the largest question, else errors as for `probe`.

    Gateways limit the size of a request, and answer larger ones as if the path or the model were not there.
    """
    body = read_body(largest, dialect, "top", [])
    answer = await client.exchange(server, "/v1/chat/completions", body)
    if answer.succeeded:
        check_answer(answer.json())
        return
    failure = answer.failure()
    if isinstance(failure, EngineFailedError):
        raise failure
    height, width = largest.pixels.shape[:2]
    detail = (
        f"{server.name} answers small questions and refuses the largest one, of {len(body):,} bytes and "
        f"{width} × {height} pixels ({failure}): raise the limits of the server (--max-model-len) and of the "
        "gateway before it, lower the policy's vision tokens, or set engine.openai.image_format to png or webp"
    )
    raise EngineConfigurationError(setting="engine.openai.base_urls", detail=detail)


async def _offered(
    client: OpenAIClient, server: Server, dialect: Dialect, source: LabelSource, tokens: Mapping[str, int] | None
) -> Dialect | None:
    """Return the dialect in which labels can be read that way; None if they cannot."""
    try:
        return dialect if await _offers(client, server, dialect, source, tokens) else None
    except EngineConfigurationError as error:
        fewer = replace(dialect, max_top=FEW_TOP)
        if source != "top" or not await _offers(client, server, fewer, source, tokens):
            raise
        log.warning("engine.few_likely_tokens", server=server.name, max_top=FEW_TOP, detail=str(error))
        return fewer


async def _offers(
    client: OpenAIClient, server: Server, dialect: Dialect, source: LabelSource, tokens: Mapping[str, int] | None
) -> bool:
    """Return whether labels can be read that way."""
    if source != "top" and tokens is None:
        return False
    words = tokens or dict.fromkeys(_WORDS, 0)
    body = read_body(_ASK, dialect, source, list(words.values()))
    answer = await client.exchange(server, "/v1/chat/completions", body)
    if not answer.succeeded:
        return _refused(answer, server, source)
    return _read_as(source, answer.json(), words)


def _refused(answer: Answer, server: Server, source: LabelSource) -> bool:
    """Return False for a way that the server does not know; raise if it would refuse every request."""
    failure = answer.failure()
    if isinstance(failure, FatalError | EngineFailedError):
        raise failure
    if source == "top":
        detail = f"{server.name} refuses an image with a question (engine.openai.image_format?): {failure}"
        raise EngineConfigurationError(setting="engine.openai.base_urls", detail=detail)
    return False


def _read_as(source: LabelSource, answer: Mapping[str, Any], words: Mapping[str, int]) -> bool:
    check_answer(answer)
    try:
        step = first_step(answer)
    except EngineFailedError:
        return False
    if max(step.values()) > ROUNDING:
        detail = "a server returns logits instead of log-probabilities: start it with --logprobs-mode raw_logprobs"
        raise EngineConfigurationError(setting="engine.openai.label_source", detail=detail)
    tokens = list(words.values())
    match source:
        case "exact":
            return not is_incomplete(step, tokens)
        case "allowed":
            # vLLM returns probabilities before the restriction unless it was started with processed_logprobs: these say
            # nothing that the likeliest tokens do not say too.
            return not is_incomplete(step, tokens) and not others(step, tokens)
        case "top":
            return bool(of_words(step, words))
