"""Kinds of values that settings have in common, or that need a check of their own."""

import re
from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

PositiveSeconds = Annotated[float, Field(gt=0)]
Positive = Annotated[int, Field(gt=0)]

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


def _endpoint(text: str | None) -> str | None:
    if text is not None and not _ENDPOINT.fullmatch(text):
        raise PydanticCustomError(
            "value_error", "an endpoint is a URL such as http://minio:9000, without user and query"
        )
    return text


HostNames = Annotated[tuple[str, ...], AfterValidator(_host_names)]
Networks = Annotated[tuple[str, ...], AfterValidator(_networks)]
OptionalEndpoint = Annotated[str | None, AfterValidator(_endpoint)]
