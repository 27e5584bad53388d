"""Refusals of HTTP requests: status, stable reason, and the body in the form that OpenAI's clients read.

They are no `ModstreamError`: those determine what happens to a record. The router that calls `moderation` turns its
errors into these. Raise the most specific class with facts as keyword arguments, as with errors of records.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar


class ApiError(Exception):
    """Base of every refusal; `message` formats the facts given by keyword.

    Facts never hold keys, tokens, image bytes, captions or full URLs: the caller and the log get them.
    """

    status: ClassVar[HTTPStatus]
    reason: ClassVar[str]
    message: ClassVar[str]
    kind: ClassVar[str] = "invalid_request_error"
    """The field `type` of the body."""

    def __init__(self, *, param: str | None = None, headers: Mapping[str, str] | None = None, **facts: object) -> None:
        """`param` names the part of the request that is at fault, `headers` are those of the response."""
        self.param = param
        self._headers = headers or {}
        self.facts = facts
        super().__init__(self.message.format_map(facts))

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that the response has because of the error."""
        return self._headers

    def document(self) -> dict[str, object]:
        """Return the body of the response."""
        return error_document(str(self), kind=self.kind, param=self.param, reason=self.reason)


def error_document(message: str, *, kind: str, reason: str, param: str | None = None) -> dict[str, object]:
    """Return an error as OpenAI's API has it; `code` is the reason."""
    return {"error": {"message": message, "type": kind, "param": param, "code": reason}}
