"""The page to try the API at `/`, and its documentation at `/docs`. Neither loads anything from another host."""

from importlib import resources

from fastapi import APIRouter

from service.api.static_files import TEXT_ONLY, add_file, add_files, static_file
from service.settings.api import ApiSettings

_PAGE = (
    "app.css",
    "app.js",
    "dom.js",
    "geist-mono.woff2",
    "geist.woff2",
    "icon.svg",
    "requests.js",
    "sheet.js",
    "theme.js",
    "verdict.js",
)
_SWAGGER_UI = ("docs.css", "docs.js", "swagger-ui-bundle.js", "swagger-ui.css")


def page_routes(settings: ApiSettings) -> APIRouter:
    """Return the routes of both pages and their files. They need no key: what they ask the API does."""
    router = APIRouter()
    files = resources.files("service.api")
    keys = {'data-authentication="keys"': f'data-authentication="{settings.authentication}"'}
    add_file(router, "/", static_file(files / "page" / "index.html", keys, directive=TEXT_ONLY))
    add_files(router, "/page", files / "page", _PAGE)
    add_file(router, "/docs", static_file(files / "swagger_ui" / "index.html"))
    add_files(router, "/docs", files / "swagger_ui", _SWAGGER_UI)
    return router
