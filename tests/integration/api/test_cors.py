"""Pages of other origins, as far as `api.cors_origins` names them."""

import httpx
import pytest

from service.settings.api import ApiSettings
from service.settings.settings import Settings
from testing.http_api import running_api

ADMIN = "https://admin.example.com"
SENT_BY_OPENAI_JS = "authorization,content-type,x-stainless-lang,x-stainless-os,x-stainless-retry-count"


@pytest.mark.parametrize(("origin", "is_allowed"), [(ADMIN, True), ("https://other.example.com", False)])
async def test_a_page_of_a_named_origin_may_use_the_official_client(origin: str, is_allowed: bool) -> None:
    preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    preflight |= {"Access-Control-Request-Headers": SENT_BY_OPENAI_JS}

    async with (
        running_api(Settings(api=ApiSettings(cors_origins=(ADMIN,)))) as api,
        httpx.AsyncClient(base_url=api.url) as client,
    ):
        asked = await client.options("/v1/moderations", headers=preflight)
        answer = await client.post("/v1/moderations", headers=api.headers | {"Origin": origin}, json={"input": "text"})

    assert (asked.status_code == 200) is is_allowed
    assert (answer.headers.get("access-control-allow-origin") == ADMIN) is is_allowed
    assert "access-control-allow-credentials" not in answer.headers
