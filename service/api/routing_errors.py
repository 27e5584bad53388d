"""What is answered where a request has no route."""

from collections.abc import Mapping
from http import HTTPStatus

from service.api.errors import error_document


def routing_document(status: int, detail: str, *, method: str, headers: Mapping[str, str] | None) -> dict[str, object]:
    """Return the body of an error that routing found; `headers` are the error's own, `Allow` among them."""
    return error_document(
        _text(status, detail, method, headers or {}), kind="invalid_request_error", reason=f"api.http_{status}"
    )


def _text(status: int, detail: str, method: str, headers: Mapping[str, str]) -> str:
    match status:
        case HTTPStatus.NOT_FOUND:
            return (
                "There is no such route. The base URL of OpenAI's clients ends in /v1, as in http://127.0.0.1:8080/v1; "
                "GET /docs describes all routes"
            )
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return f"This route takes {headers.get('Allow', 'another method')}, not {method}; GET /docs describes it"
        case _:
            return detail
