"""Bundled photographs, as requests and events hold them."""

import base64
from pathlib import Path

from service.cli.try_files import PHOTOGRAPHS

WINE = PHOTOGRAPHS / "wine.jpg"
CAT = PHOTOGRAPHS / "cat.jpg"


def inline(path: Path) -> dict[str, str]:
    """Return a JPEG as a request or an event holds it."""
    return {"inline": base64.b64encode(path.read_bytes()).decode(), "media_type": "image/jpeg"}
