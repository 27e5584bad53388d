"""Which failures are one kind."""

import pytest

from service.tools.dead_letters.fingerprint import FINGERPRINT_CHARS, fingerprint, innermost_frame, normalised

STACK = """  File "/srv/a/service/delivery/attempts.py", line 90, in _attempt
    outcomes = await self._handler(job)
  File "/srv/a/service/media/decode_pool.py", line {line}, in decode
    raise error
"""


def of(message: str = "boom", *, reason: str = "image.corrupt", kind: str = "a.B", line: int = 7) -> str:
    return fingerprint(reason, kind, message, STACK.format(line=line))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The image has more than 500 bytes", "The image has more than 26,214,400 bytes"),
        ("no image format: b'GIF9'", "no image format: b'\\xff\\'d8'"),
        ("No policy is named 'a'; known: b", "No policy is named 'c d'; known: b"),
        ("cannot read https://a.example/x?s=1 now", "cannot read s3://b/y now"),
        ("object 7f3c9a1e2b is gone", "object 0a0b0c0d0e is gone"),
        ("id 4bf92f35-77b3-4da6-a3ce-929d0e0e4736", "id 11111111-2222-3333-4444-555555555555"),
    ],
)
def test_particulars_make_no_difference(one: str, other: str) -> None:
    assert of(one) == of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cdn.example.com answered 404", "cdn.example.com answered 403"),
        ("store-a was silent for 5.0 s", "store-b was silent for 5.0 s"),
        ("no connection", "no secure connection"),
    ],
)
def test_what_leads_to_another_cause_does(one: str, other: str) -> None:
    assert of(one) != of(other)


def test_reason_kind_and_frame_count_and_line_numbers_do_not() -> None:
    assert (
        len({of(), of(reason="image.not_found"), of(kind="a.C"), fingerprint("image.corrupt", "a.B", "boom", "")}) == 4
    )
    assert of(line=7) == of(line=8)
    assert len(of()) == FINGERPRINT_CHARS


def test_the_frame_is_the_same_on_every_machine() -> None:
    assert innermost_frame(STACK.format(line=1)) == "service/media/decode_pool.py decode"
    other = STACK.replace("/srv/a/", "/opt/venv/lib/python3.12/site-packages/")
    assert innermost_frame(other.format(line=2)) == "service/media/decode_pool.py decode"
    assert innermost_frame("nothing") == ""


def test_a_message_is_left_readable() -> None:
    assert normalised("The image has more than 500 bytes (media.fetch.max_bytes)") == (
        "The image has more than ‹n› bytes (media.fetch.max_bytes)"
    )
    assert normalised("References by s3 are not allowed") == "References by s3 are not allowed"
    assert normalised("it took more than 20.0s") == "it took more than ‹n›s"


@pytest.mark.parametrize(
    "text",
    [
        "\\'" * 500_000,
        "'\"" * 500_000,
        "a" * 1_000_000,
        "a." * 500_000,
        "1." * 500_000,
        "/" * 1_000_000,
        'File "' * 200_000,
        'File "' + "/" * 1_000_000 + '", line 1, in f',
    ],
    ids=lambda text: text[:8],
)
def test_what_others_write_takes_no_longer_than_ours(text: str) -> None:
    # What takes the square of a million would not end in this test's time.
    assert len(fingerprint(text, text, text, text)) == FINGERPRINT_CHARS
    assert len(normalised(text)) <= 2000
