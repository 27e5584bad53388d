"""Who calls, and what the caller may do."""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from service.api.callers import access_errors
from service.api.callers.access import ANYONE, Access, Caller
from service.api.callers.access_errors import (
    ForeignPageError,
    NoCredentialsError,
    ScopeMissingError,
    TenantDeniedError,
    UnknownKeyError,
)
from service.api.callers.api_keys import ApiKeys, new_key
from service.api.errors import ApiError

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MADE = new_key(tenant="shop", scopes=("moderate", "read"))
ACCESS = Access(lambda: ApiKeys({MADE.entry.id: MADE.entry}), now=lambda: NOW)


def caller(**headers: str) -> Caller:
    return asyncio.run(ACCESS.authenticate(Headers({name.replace("_", "-"): text for name, text in headers.items()})))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", "Bearer {}"),
        ("authorization", "bearer   {} "),
        ("AUTHORIZATION", "BEARER {}"),
        ("api-key", "{}"),
        ("X-API-Key", " {} "),
    ],
)
def test_a_key_is_taken_from_the_headers_that_clients_use(name: str, value: str) -> None:
    found = caller(**{name: value.format(MADE.text)})
    assert (found.key_id, found.tenant, found.scopes) == (MADE.entry.id, "shop", frozenset(MADE.entry.scopes))


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Basic YTpi"}, {"authorization": "Bearer "}, {"api-key": " "}, {"cookie": "key=x"}],
)
def test_a_request_without_a_key_is_answered_401_with_how_to_send_one(headers: dict[str, str]) -> None:
    with pytest.raises(NoCredentialsError, match="Authorization: Bearer KEY") as caught:
        caller(**headers)
    assert caught.value.status == 401
    assert caught.value.headers == {"WWW-Authenticate": 'Bearer realm="modstream"'}


def test_a_wrong_key_is_answered_401_in_openais_form() -> None:
    with pytest.raises(UnknownKeyError) as caught:
        caller(authorization=f"Bearer {new_key().text}")
    assert caught.value.status == 401
    assert caught.value.headers["WWW-Authenticate"].startswith("Bearer ")
    assert caught.value.document() == {
        "error": {
            "message": str(caught.value),
            "type": "invalid_request_error",
            "param": None,
            "code": "access.key_unknown",
        }
    }


def test_a_missing_scope_is_answered_403_and_named() -> None:
    found = caller(api_key=MADE.text)
    found.require("read")
    with pytest.raises(ScopeMissingError, match=f"needs the scope chat; {MADE.entry.id} has moderate, read") as caught:
        found.require("chat")
    assert (caught.value.status, caught.value.reason) == (403, "access.scope_missing")
    assert 'error="insufficient_scope", scope="chat"' in caught.value.headers["WWW-Authenticate"]


def test_a_caller_sends_for_its_own_tenant() -> None:
    found = caller(api_key=MADE.text)
    assert found.tenant_for(None) == found.tenant_for("shop") == "shop"


def test_another_tenant_is_answered_403_without_the_scope_for_it() -> None:
    with pytest.raises(TenantDeniedError, match="scope tenants") as caught:
        caller(api_key=MADE.text).tenant_for("shoes")
    assert (caught.value.status, caught.value.param) == (403, "tenant")
    assert Caller("x", "shop", frozenset({"tenants"})).tenant_for("shoes") == "shoes"


async def test_without_authentication_everyone_is_the_default_tenant_with_all_scopes() -> None:
    headers = Headers({"host": "127.0.0.1:8080", "authorization": "Bearer anything"})
    assert await Access(None).authenticate(headers) is ANYONE
    assert ANYONE.tenant_for(None) == "default"
    for scope in ("moderate", "chat", "read", "tenants"):
        ANYONE.require(scope)


def refusals(base: type[ApiError] = ApiError) -> Iterator[type[ApiError]]:
    """Yield the errors of access that are raised: those with a reason."""
    for kind in base.__subclasses__():
        if kind.__module__ == access_errors.__name__ and "reason" in vars(kind):
            yield kind
        yield from refusals(kind)


def test_the_operators_table_of_refusals_is_complete_and_true() -> None:
    page = (Path(__file__).parents[3] / "docs/operate.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d{3}) \| ([^|]+) \|", page, re.MULTILINE)
    found = sorted((int(status), code) for status, codes in rows for code in re.findall(r"`(access\.\w+)`", codes))
    assert found == sorted((kind.status.value, kind.reason) for kind in refusals())


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "127.0.0.1:8080", "origin": "https://evil.example"},
        {"host": "127.0.0.1:8080", "origin": "null"},
        {"host": "127.0.0.1:8080", "origin": "http://127.0.0.1:9999"},
        {"host": "rebound.evil.example:8080"},
        {"host": "[::1"},
        {},
    ],
)
async def test_without_keys_pages_of_other_sites_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ForeignPageError):
        await Access(None).authenticate(Headers(headers))


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080"])
async def test_without_keys_the_own_page_and_programs_of_the_machine_are_served(host: str) -> None:
    assert await Access(None).authenticate(Headers({"host": host})) is ANYONE
    assert await Access(None).authenticate(Headers({"host": host, "origin": f"http://{host}"})) is ANYONE


async def test_without_keys_a_site_that_the_settings_name_may_call() -> None:
    headers = Headers({"host": "127.0.0.1:8080", "origin": "https://admin.example"})
    assert await Access(None, origins=["https://admin.example"]).authenticate(headers) is ANYONE
