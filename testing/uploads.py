"""Upload events in the three forms that the service reads."""

import json

from service.core.records import Headers, SourceRecord

BY_URL = {"image_id": "42", "image": {"url": "https://cdn.example.com/42.jpg"}}
INLINE = {"image_id": "42", "image": {"inline": "/9j/4AAQ", "media_type": "image/jpeg"}}
UPLOADED = "modstream.image.uploaded.v1"
BINARY: dict[str, bytes] = {
    "ce_specversion": b"1.0",
    "ce_type": UPLOADED.encode(),
    "ce_source": b"/uploads",
    "ce_id": b"7",
}
STRUCTURED = {"specversion": "1.0", "type": UPLOADED, "source": "/uploads", "id": "7"}
STRUCTURED_HEADERS: Headers = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)


def a_record(value: object, headers: Headers | dict[str, bytes] = (), *, key: bytes | None = b"42") -> SourceRecord:
    """Return a record; a value that is no bytes is written as JSON."""
    encoded = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
    pairs = tuple(headers.items()) if isinstance(headers, dict) else headers
    return SourceRecord("images.uploaded", 3, 1200, 1_772_366_400_000, key, encoded, pairs)
