"""The examples of every message: valid events that tests, documents and newcomers share."""

import json
from pathlib import Path
from typing import Any

from schemas.registry import MessageVersion

EXAMPLES = Path(__file__).parent / "examples"


def read_examples(message: MessageVersion, folder: Path = EXAMPLES) -> dict[str, Any]:
    """Return a message's examples by name, parsed; their names sorted."""
    paths = sorted((folder / message.slug).glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}
