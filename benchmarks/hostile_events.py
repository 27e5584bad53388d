"""How long the worst events hold up the event loop: each as large and as full as the limits allow, read by the codec.

The service reads nothing else meanwhile, so the longest of these is what one hostile uploader can cost all others. The
unit is milliseconds an event; the first is an everyday event.
"""

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from time import perf_counter

from benchmarks.runner import Comparison, Contender, TimedRun
from service.core.errors import RejectedError
from service.core.records import MAX_HEADERS, Headers, SourceRecord
from service.events.codec import decode_upload
from service.events.structure import MAX_STRUCTURE
from service.settings.kafka import DEFAULT_MAX_EVENT_BYTES, LARGEST_MAX_EVENT_BYTES

ROUNDS = 5
STRUCTURED: Headers = (("content-type", b"application/cloudevents+json"),)
EVERYDAY = b'{"image_id": "42", "image": {"url": "https://cdn.example.com/42.jpg"}}'
# What the event itself and the member around a bomb take of both limits.
MARGIN = 1024


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Read the worst events there are under the default limit, and under the largest that can be set."""
    yield (
        _comparison("worst events, kafka.max_event_bytes as by default", DEFAULT_MAX_EVENT_BYTES),
        _comparison("worst events, kafka.max_event_bytes at its largest", LARGEST_MAX_EVENT_BYTES),
    )


def _comparison(title: str, max_bytes: int) -> Comparison:
    records = {"everyday event": _record(EVERYDAY)} | _with_bombs(max_bytes)
    contenders = tuple(Contender(name, partial(_read, record, max_bytes)) for name, record in records.items())
    return Comparison(title, contenders, unit="ms", rounds=ROUNDS)


def _read(record: SourceRecord, max_bytes: int) -> TimedRun:
    begin_s = perf_counter()
    with suppress(RejectedError):
        decode_upload(record, max_bytes=max_bytes)
    return TimedRun((perf_counter() - begin_s) * 1000, seconds=1.0)


def _with_bombs(max_bytes: int) -> dict[str, SourceRecord]:
    found = {}
    for name, value in _bombs(max_bytes - MARGIN).items():
        found[f"bare: {name}"] = _record(EVERYDAY[:-1] + b', "x": ' + value + b"}")
        found[f"structured: {name}"] = _record(_structured(value), STRUCTURED)
    members = _members(MAX_STRUCTURE - MARGIN, max_bytes)
    found["context: members"] = _record(EVERYDAY[:-1] + b', "context": ' + members + b"}")
    found["tasks: entries"] = _record(EVERYDAY[:-1] + b', "tasks": [' + _entries(b'"tags"', max_bytes) + b"]}")
    found["event: members"] = _record(members)
    found["envelope: members"] = _record(_structured(b"{}")[:-1] + b"," + members[1:], STRUCTURED)
    image = b'{"image_id": "42", "image": {"media_type": "image/png", "inline": "%s"}}'
    found["inline image"] = _record(image % (b"A" * (max_bytes - MARGIN)))
    encoded = base64.b64encode(EVERYDAY[:-1] + b', "x": [' + _entries(b"[]", max_bytes // 2) + b"]}")
    found["base64: lists"] = _record(_structured(b"")[: -len(b', "data": }')] + b', "data_base64": "' + encoded + b'"}')
    found["headers"] = _record(EVERYDAY, tuple((f"ce_a{n}", b"") for n in range(MAX_HEADERS)))
    return {name: record for name, record in found.items() if len(record.value or b"") <= max_bytes}


def _bombs(room: int) -> dict[str, bytes]:
    return {
        "lists": b"[" + _entries(b"[]", room) + b"]",
        "members": _members(MAX_STRUCTURE - MARGIN, room),
        "numbers": b"[" + _entries(b"1.2345678901234567e-300", room) + b"]",
        "long integers": b"[" + b",".join([b"9" * 4000] * (room // 4001)) + b"]",
        "long fraction": b"0." + b"1" * (room - 2),
        "one text": b'"' + b"a" * (room - 2) + b'"',
        "escaped text": b'"' + b"\\u00e9" * (room // 6 - 1) + b'"',
        "one name": b'{"' + b"a" * (room - 6) + b'":0}',
    }


def _entries(entry: bytes, room: int) -> bytes:
    signs = 1 + entry.count(b"[")
    return b",".join([entry] * min((MAX_STRUCTURE - MARGIN) // signs, room // (len(entry) + 1)))


def _members(count: int, room: int) -> bytes:
    width = min(40, room // count - 5)
    return b"{" + b",".join(b'"%0*d":0' % (width, number) for number in range(count)) + b"}"


def _structured(data: bytes) -> bytes:
    envelope = {"specversion": "1.0", "type": "modstream.image.uploaded.v1", "source": "/uploads", "id": "7"}
    return json.dumps(envelope).encode()[:-1] + b', "data": ' + data + b"}"


def _record(value: bytes, headers: Headers = ()) -> SourceRecord:
    return SourceRecord("images.uploaded", 0, 0, 0, None, value, headers)
