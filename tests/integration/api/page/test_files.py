"""The files of the page at `/` and of the documentation at `/docs`, as any client gets them."""

import re
from collections.abc import AsyncIterator
from importlib import resources

import httpx
import pytest
import pytest_asyncio

from service.settings.settings import Settings
from testing.http_api import running_api

pytestmark = pytest.mark.asyncio(loop_scope="module")

REFERENCE = re.compile(r'(?:src|href)="([^"#:]+)"|import .* from "\./([^"]+)"|url\(([\w.-]+)\)')


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with running_api() as api, httpx.AsyncClient(base_url=api.url) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_a_page_needs_no_key_and_runs_scripts_of_its_own_origin_alone(
    client: httpx.AsyncClient, path: str
) -> None:
    answer = await client.get(path)

    policy = answer.headers["content-security-policy"]
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_the_page_makes_no_html_of_text(client: httpx.AsyncClient) -> None:
    policy = (await client.get("/")).headers["content-security-policy"]

    assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy


@pytest.mark.parametrize(
    ("page", "folder", "below"), [("/", "page", "/page/"), ("/docs", "swagger_ui", "/docs/")], ids=["page", "docs"]
)
async def test_every_file_that_a_page_names_is_served(
    client: httpx.AsyncClient, page: str, folder: str, below: str
) -> None:
    named = {"/" + name for name, _, _ in REFERENCE.findall((await client.get(page)).text)}
    own = [each for each in (resources.files("service.api") / folder).iterdir() if not each.name.startswith("swagger-")]
    for file in own:
        if file.name.endswith((".js", ".css")):
            named |= {
                below + (module or url) for _, module, url in REFERENCE.findall(file.read_text()) if module or url
            }

    assert below + ("app.js" if folder == "page" else "docs.js") in named
    assert {path: (await client.get(path)).status_code for path in named} == dict.fromkeys(named, 200)


async def test_other_files_of_the_folder_are_not_served(client: httpx.AsyncClient) -> None:
    paths = ("/page/README.md", "/page/../page.py", "/page/%2e%2e/page.py", "/docs/LICENSE.txt", "/redoc")

    assert {path: (await client.get(path)).status_code for path in paths} == dict.fromkeys(paths, 404)


async def test_a_browser_that_has_a_file_gets_no_second_copy(client: httpx.AsyncClient) -> None:
    first = await client.get("/page/app.js")

    again = await client.get("/page/app.js", headers={"If-None-Match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == first.headers["content-security-policy"]


async def test_the_pages_are_no_part_of_the_openapi_document(client: httpx.AsyncClient) -> None:
    assert not {"/", "/docs", "/page/app.js"} & (await client.get("/openapi.json")).json()["paths"].keys()


async def test_the_page_asks_for_no_key_where_none_is_needed() -> None:
    settings = Settings()
    settings = settings.model_copy(update={"api": settings.api.model_copy(update={"authentication": "none"})})
    async with running_api(settings) as api, httpx.AsyncClient(base_url=api.url) as client:
        page = await client.get("/")

    assert 'data-authentication="none"' in page.text
