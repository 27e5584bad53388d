"""From settings to a running access."""

from pathlib import Path

import pytest
from starlette.datastructures import Headers

from service.api.callers.access import ANYONE
from service.api.callers.access_errors import KeysFileError, NoCallersError, UnknownKeyError
from service.api.callers.api_keys import ApiKeys, NewKey, new_key
from service.api.callers.running_access import running_access
from service.settings.api import ApiSettings, JwtSettings
from testing.waiting import wait_until


def as_header(made: NewKey) -> Headers:
    return Headers({"api-key": made.text})


def text_of(made: NewKey) -> str:
    return f"- {{id: {made.entry.id}, sha256: '{made.entry.sha256}', tenant: shop, scopes: [read]}}\n"


async def test_the_keys_of_the_file_are_accepted_and_followed(tmp_path: Path) -> None:
    first, second, path = new_key(), new_key(), tmp_path / "keys.yaml"
    path.write_text(text_of(first))
    async with running_access(ApiSettings(keys_file=path)) as access:
        assert (await access.authenticate(as_header(first))).key_id == first.entry.id
        path.write_text(text_of(second))

        async def is_revoked() -> bool:
            try:
                await access.authenticate(as_header(first))
            except UnknownKeyError:
                return True
            return False

        await wait_until(is_revoked, description="the first key is revoked")
        assert (await access.authenticate(as_header(second))).key_id == second.entry.id
        assert access.warnings() == []


async def test_keys_of_one_run_serve_where_there_is_no_file() -> None:
    made = new_key()
    async with running_access(ApiSettings(), keys=ApiKeys({made.entry.id: made.entry})) as access:
        assert (await access.authenticate(as_header(made))).tenant == "default"


async def test_without_authentication_everyone_is_accepted() -> None:
    async with running_access(ApiSettings(authentication="none")) as access:
        assert await access.authenticate(Headers({"host": "localhost"})) is ANYONE


async def test_an_api_that_could_accept_no_request_does_not_start() -> None:
    with pytest.raises(NoCallersError, match=r"api\.keys_file and api\.jwt\.issuer are not set"):
        async with running_access(ApiSettings()):
            pass


async def test_a_start_with_a_broken_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeysFileError, match="No such file"):
        async with running_access(ApiSettings(keys_file=tmp_path / "absent.yaml")):
            pass


async def test_with_tokens_alone_no_key_is_accepted_and_an_absent_provider_is_a_warning() -> None:
    settings = ApiSettings(jwt=JwtSettings(issuer="http://127.0.0.1:9", audience="modstream"))
    async with running_access(settings) as access:
        with pytest.raises(UnknownKeyError):
            await access.authenticate(as_header(new_key()))
        await wait_until(lambda: bool(access.warnings()), description="the provider is known to be away")
        assert "tokens are refused" in access.warnings()[0]
