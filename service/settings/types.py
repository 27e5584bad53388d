"""What groups of settings are made of: kinds of values that they share, or that need a check of their own."""

import re
from ipaddress import ip_address, ip_network
from typing import Annotated, LiteralString

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

MIB = 1024 * 1024

PositiveSeconds = Annotated[float, Field(gt=0)]
Positive = Annotated[int, Field(gt=0)]


class Group(BaseModel):
    """A frozen group of settings; an unknown name in it is an error, because it is a typing mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def settings_conflict(message: LiteralString, *settings: str) -> PydanticCustomError:
    """Return the error of settings that do not go together; their names travel in its context.

    Names are dotted; those of a group that has several places, as an engine's, are without the group.
    """
    return PydanticCustomError("settings_conflict", message, {"settings": ", ".join(settings)})


_HOST_NAME = re.compile(r"[^\s/:@*?#\[\]]+")
_ENDPOINT = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")


def _host_names(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        if not _HOST_NAME.fullmatch(text):
            message = '"{text}" is no host name; names are given without scheme, port, path and wildcard'
            raise PydanticCustomError("value_error", message, {"text": text})
    return texts


def _networks(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        try:
            ip_network(text)
        except ValueError:
            message = '"{text}" is no network in CIDR form such as 10.20.0.0/16, with no bits set behind its prefix'
            raise PydanticCustomError("value_error", message, {"text": text}) from None
    return texts


_NAME_SERVER = re.compile(r"(?P<v4>[\d.]+)(?::(?P<v4_port>\d{1,5}))?|\[(?P<v6>[^\]]+)\](?::(?P<v6_port>\d{1,5}))?")
_MAX_PORT = 65_535


def _is_name_server(text: str) -> bool:
    match = _NAME_SERVER.fullmatch(text)
    if match is None:
        return False
    try:
        ip_address(match["v4"] or match["v6"])
    except ValueError:
        return False
    return int(match["v4_port"] or match["v6_port"] or 53) in range(1, _MAX_PORT + 1)


def _name_servers(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        if not _is_name_server(text):
            message = '"{text}" is no address of a name server such as 10.0.0.2, 10.0.0.2:5353 or [fd00::2]:53'
            raise PydanticCustomError("value_error", message, {"text": text})
    return texts


def is_endpoint(text: str) -> bool:
    """Return whether a text is the URL of a service, without user and query."""
    return _ENDPOINT.fullmatch(text) is not None


def _endpoint(text: str | None) -> str | None:
    if text is not None and not is_endpoint(text):
        raise PydanticCustomError(
            "value_error", "an endpoint is a URL such as http://minio:9000, without user and query"
        )
    return text


TRACE_ID_PLACE = "{trace_id}"


def _trace_url(text: str | None) -> str | None:
    if text is not None and not (text.startswith(("http://", "https://")) and TRACE_ID_PLACE in text):
        message = "a link to a trace is a URL with {{trace_id}} in it, such as http://jaeger:16686/trace/{{trace_id}}"
        raise PydanticCustomError("value_error", message)
    return text


OptionalTraceUrl = Annotated[str | None, AfterValidator(_trace_url)]
HostNames = Annotated[tuple[str, ...], AfterValidator(_host_names)]
Networks = Annotated[tuple[str, ...], AfterValidator(_networks)]
NameServers = Annotated[tuple[str, ...], AfterValidator(_name_servers)]
OptionalEndpoint = Annotated[str | None, AfterValidator(_endpoint)]


_TOPIC_SUFFIX = re.compile(r"[A-Za-z0-9._-]{1,100}")
_MAX_TOPIC_SUFFIXES = 200
"""Each is a topic, and every process knows all of them."""


def _topic_suffixes(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        if not _TOPIC_SUFFIX.fullmatch(text):
            message = '"{text}" cannot end a topic\'s name: up to 100 letters, digits, dots, hyphens and underscores'
            raise PydanticCustomError("value_error", message, {"text": text})
    # To brokers a dot and an underscore are the same in the names of metrics, and names that collide are refused.
    if len({text.replace(".", "_") for text in texts}) < len(texts):
        raise PydanticCustomError("value_error", "two of these names collide as names of topics")
    if len(texts) > _MAX_TOPIC_SUFFIXES:
        message = "these are more than {limit} names, and each is a topic"
        raise PydanticCustomError("value_error", message, {"limit": _MAX_TOPIC_SUFFIXES})
    return texts


TopicSuffixes = Annotated[tuple[str, ...], AfterValidator(_topic_suffixes)]

_DELAY = re.compile(r"([1-9][0-9]{0,5})([smh])")
_UNITS_S = {"s": 1, "m": 60, "h": 3600}


def _delays(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        if not _DELAY.fullmatch(text):
            message = '"{text}" is no delay; a delay is a number with its unit, such as 30s, 10m or 2h'
            raise PydanticCustomError("value_error", message, {"text": text})
    if len(set(texts)) < len(texts):
        raise PydanticCustomError("value_error", "a delay stands here twice, but names one topic")
    return texts


Delays = Annotated[tuple[str, ...], AfterValidator(_delays)]
"""As they stand in topics' names; `delay_s` gives the seconds of one."""


def delay_s(delay: str) -> int:
    """Return a delay such as `30s` in seconds."""
    return int(delay[:-1]) * _UNITS_S[delay[-1]]
