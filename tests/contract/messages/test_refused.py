"""What the service refuses, a writer's own validation against the published schema refuses before it is sent."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas.registry import IMAGE_UPLOADED_V1
from scripts.contract import PUBLISHED
from service.core.errors import RejectedError
from service.core.records import SourceRecord
from service.events.codec import decode_upload

BY_URL: dict[str, Any] = {"image_id": "42", "image": {"url": "https://cdn.example.com/42.jpg"}}
SCHEMA = json.loads((PUBLISHED / f"{IMAGE_UPLOADED_V1.slug}.schema.json").read_text())


def accepted_by_the_service(event: object) -> bool:
    try:
        decode_upload(SourceRecord("images.uploaded", 0, 0, 0, None, json.dumps(event).encode(), ()))
    except RejectedError:
        return False
    return True


@pytest.mark.parametrize(
    "event",
    [
        BY_URL | {"image": {"inline": "AAAA"}},
        BY_URL | {"image": {"inline": "AAAA", "media_type": None}},
        BY_URL | {"image": {"inline": "AAAA", "media_type": "image/png", "url": "u"}},
        BY_URL | {"image": {"inline": "", "media_type": "image/png"}},
        BY_URL | {"image": {"inline": None, "url": None}},
        BY_URL | {"image": {"media_type": "image/png"}},
        BY_URL | {"image": {"url": ""}},
        BY_URL | {"image": None},
        BY_URL | {"image_id": None},
        BY_URL | {"tasks": []},
        BY_URL | {"tasks": ["delete"]},
        BY_URL | {"tasks": ["tags", None]},
        BY_URL | {"context": {"album": 7}},
        BY_URL | {"context": {"": None}},
        BY_URL | {"caption": 5},
    ],
    ids=lambda event: json.dumps(event)[:80],
)
def test_what_the_service_refuses_the_published_schema_refuses(event: object) -> None:
    assert not accepted_by_the_service(event)
    assert not Draft202012Validator(SCHEMA).is_valid(event)


@pytest.mark.parametrize(
    "event",
    [
        BY_URL | dict.fromkeys(("tenant", "caption", "uploaded_at", "tasks", "policy", "context")),
        BY_URL | {"context": {"album": None}},
        BY_URL | {"image": {"url": "u", "inline": None, "media_type": None}},
        BY_URL | {"image": {"inline": "AAAA", "media_type": "image/png", "url": None}},
    ],
    ids=lambda event: json.dumps(event)[:80],
)
def test_null_in_whatever_is_optional_is_accepted_by_both(event: object) -> None:
    assert accepted_by_the_service(event)
    assert Draft202012Validator(SCHEMA).is_valid(event)
