"""Files of this package that browsers load, with headers that confine what they may do."""

import mimetypes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request, Response

_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
"""Where Python's table depends on the machine."""

# Everything comes from this origin, and no page of another origin may embed it. Images that a user chose are blobs,
# Swagger UI's icons are data URLs.
_CONFINED = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

TEXT_ONLY = "require-trusted-types-for 'script'; trusted-types 'none'"
"""A further directive: the browser refuses to make HTML of text. Swagger UI could not work with it."""

_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",  # asks again with the ETag, so that all files are of one release
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file, in memory: there are few, and they are small."""

    body: bytes
    media_type: str
    etag: str
    content_security_policy: str

    def answer(self, request: Request) -> Response:
        """Return the file, or 304 where the browser has it."""
        headers = {**_HEADERS, "Content-Security-Policy": self.content_security_policy, "ETag": self.etag}
        if request.headers.get("if-none-match") == self.etag:
            return Response(status_code=304, headers=headers)
        return Response(self.body, headers=headers, media_type=self.media_type)


def static_file(file: Traversable, replacements: Mapping[str, str] | None = None, *, directive: str = "") -> StaticFile:
    """Return a file of the package, with some of its text replaced and a directive more in its policy."""
    body = file.read_bytes()
    for old, new in (replacements or {}).items():
        body = body.replace(old.encode(), new.encode())
    suffix = f".{file.name.rpartition('.')[2]}"
    media_type = _TYPES.get(suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    policy = f"{_CONFINED}; {directive}" if directive else _CONFINED
    return StaticFile(body, media_type, f'"{sha256(body).hexdigest()[:32]}"', policy)


def add_file(router: APIRouter, path: str, file: StaticFile) -> None:
    """Serve a file at a path."""

    async def answer(request: Request) -> Response:
        return file.answer(request)

    router.add_api_route(path, answer, methods=["GET", "HEAD"], include_in_schema=False)


def add_files(router: APIRouter, path: str, folder: Traversable, names: Iterable[str]) -> None:
    """Serve files of a folder below a path: these names and no others."""
    for name in names:
        add_file(router, f"{path}/{name}", static_file(folder / name))
