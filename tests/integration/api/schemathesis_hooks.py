"""What schemathesis cannot write by itself: lines of JSON."""

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_context: Any, value: Any) -> bytes:
    """Return generated text as it is, and everything else as one line."""
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()
