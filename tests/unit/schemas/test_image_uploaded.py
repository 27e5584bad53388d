"""What an upload may hold, beyond what its types say."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema import ValidationError as FitError
from jsonschema.validators import extend
from pydantic import ValidationError

from schemas.image_uploaded import (
    MAX_CONTEXT_ENTRIES,
    MAX_CONTEXT_KEY_CHARACTERS,
    MAX_CONTEXT_VALUE_CHARACTERS,
    MAX_TASKS,
    ImageByUrlV1,
    ImageInlineV1,
    ImageUploadedV1,
)
from schemas.json_schemas import json_schema
from schemas.registry import IMAGE_UPLOADED_V1

BY_URL: dict[str, Any] = {"image_id": "42", "image": {"url": "https://cdn.example.com/42.jpg"}}


def upload(**fields: object) -> ImageUploadedV1:
    """Return a small upload with some fields of its own."""
    return ImageUploadedV1.model_validate(BY_URL | fields)


def fault_of(**fields: object) -> str:
    """Return what the model says against an upload."""
    with pytest.raises(ValidationError) as caught:
        upload(**fields)
    return str(caught.value.errors()[0]["msg"])


def test_little_is_needed_and_the_rest_has_defaults() -> None:
    event = upload()
    assert (event.tenant, event.tasks, event.policy, event.context) == ("default", ("moderation",), None, {})


def test_unknown_fields_are_accepted_at_every_depth() -> None:
    event = upload(image={"url": "u", "etag": "1"}, newer={"than": "we"})
    assert event == upload(image={"url": "u"})


def test_repeated_tasks_count_once_in_the_order_given() -> None:
    assert upload(tasks=["tags", "moderation", "tags"]).tasks == ("tags", "moderation")
    assert upload(tasks=["tags"] * MAX_TASKS).tasks == ("tags",)
    assert "at most" in fault_of(tasks=["tags"] * (MAX_TASKS + 1))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-03-01T12:00:00Z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01t13:30:00.25+01:30", datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-03-01T12:00:00.123456789z", datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_rfc_3339_and_kept_in_utc(written: str, meant: datetime) -> None:
    moment = upload(uploaded_at=written).uploaded_at
    assert moment == meant
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    "written",
    ["2026-03-01", "2026-03-01 12:00:00Z", "2026-03-01T12:00Z", "1772366400", 1_772_366_400, 5.5, True, "\u0661" * 4],
)
def test_other_notations_of_time_are_refused(written: object) -> None:
    assert "RFC 3339" in fault_of(uploaded_at=written)


def test_a_time_without_zone_is_refused() -> None:
    assert "timezone" in fault_of(uploaded_at="2026-03-01T12:00:00")


@pytest.mark.parametrize("written", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
def test_a_time_beyond_the_calendar_is_refused_and_does_not_crash(written: str) -> None:
    assert "years 1 to 9999" in fault_of(uploaded_at=written)


@pytest.mark.parametrize("field", ["image_id", "tenant", "policy"])
@pytest.mark.parametrize("text", ["", "a\nb", "a\0", "a\x7f", "\x9f", "x" * 257])
def test_ids_are_short_and_hold_no_control_characters(field: str, text: str) -> None:
    fault_of(**{field: text})


@pytest.mark.parametrize("text", ["42", "Teekanne/ä ö", "画像", "x" * 256, " "])
def test_ids_may_be_any_other_text(text: str) -> None:
    assert upload(image_id=text).image_id == text


def test_context_is_bounded_in_every_direction() -> None:
    largest = {f"{number:0{MAX_CONTEXT_KEY_CHARACTERS}}": "v" * MAX_CONTEXT_VALUE_CHARACTERS for number in range(32)}
    assert len(largest) == MAX_CONTEXT_ENTRIES
    assert upload(context=largest).context == largest
    for excess in (
        largest | {"one more": ""},
        {"k" * (MAX_CONTEXT_KEY_CHARACTERS + 1): ""},
        {"": "empty key"},
        {"k": "v" * (MAX_CONTEXT_VALUE_CHARACTERS + 1)},
        {"k": 5},
    ):
        fault_of(context=excess)


def test_an_image_comes_by_url_or_inline() -> None:
    assert upload(image={"url": "u"}).image == ImageByUrlV1(url="u")
    inline = {"inline": "AAAA", "media_type": "image/png"}
    assert upload(image=inline).image == ImageInlineV1(inline="AAAA", media_type="image/png")


def test_null_stands_for_missing_where_serialisers_write_every_field() -> None:
    assert upload(image={"url": "u", "inline": None, "media_type": None}).image == ImageByUrlV1(url="u")


@pytest.mark.parametrize("field", sorted(set(ImageUploadedV1.model_fields) - {"image_id", "image"}))
def test_null_in_a_field_that_is_not_required_means_that_it_is_not_set(field: str) -> None:
    assert upload(**{field: None}) == upload()
    assert ImageUploadedV1.model_validate_json(json.dumps(BY_URL | {field: None})) == upload()


def test_an_entry_of_the_context_that_is_null_is_not_set() -> None:
    assert upload(context={"album": None, "shop": "x"}).context == {"shop": "x"}
    assert "at least 1 character" in fault_of(context={"": None})
    assert "at most" in fault_of(context=dict.fromkeys(map(str, range(MAX_CONTEXT_ENTRIES + 1))))


@pytest.mark.parametrize("field", ["image_id", "image"])
def test_null_in_a_required_field_is_refused(field: str) -> None:
    fault_of(**{field: None})


@pytest.mark.parametrize("written", ["2016-12-31T23:59:60Z", "2017-01-01t05:29:60.25+05:30"])
def test_a_leap_second_is_the_moment_before_it_ends(written: str) -> None:
    assert upload(uploaded_at=written).uploaded_at == datetime(2016, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    ["2016-12-31T23:58:60Z", "2016-12-31T23:59:60", "2016-12-31T23:59:60+01:00", "2016-13-31T23:59:60Z"],
)
def test_a_sixtieth_second_elsewhere_is_refused(written: str) -> None:
    assert "RFC 3339" in fault_of(uploaded_at=written)


@pytest.mark.parametrize(
    "image", [{}, {"url": None}, {"url": "u", "inline": "AAAA", "media_type": "image/png"}, "u", None, 5, ["u"]]
)
def test_neither_and_both_are_refused_in_one_sentence(image: object) -> None:
    assert fault_of(image=image) == "Needs either 'url', or 'inline' with 'media_type'"


def test_an_event_may_be_built_from_its_parts() -> None:
    image = ImageInlineV1(inline="AAAA", media_type="image/png")
    assert ImageUploadedV1(image_id="42", image=image).image is image


loose = st.none() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=3)
uploads = st.fixed_dictionaries(
    {
        "image_id": st.text(min_size=1, max_size=5) | loose,
        "image": st.fixed_dictionaries({}, optional=dict.fromkeys(("url", "inline", "media_type"), st.text() | loose)),
    },
    optional={
        "tenant": st.text(max_size=3) | loose,
        "caption": st.text() | loose,
        "uploaded_at": st.datetimes(timezones=st.timezones()).map(datetime.isoformat) | loose,
        "tasks": st.lists(st.sampled_from(["moderation", "tags"]), max_size=20) | loose,
        "policy": loose,
        "context": st.dictionaries(st.text(max_size=3), st.text(max_size=3) | st.none(), max_size=35) | loose,
        "unknown": loose,
    },
)


def _matches(_validator: Any, pattern: str, instance: object, _schema: object) -> Iterator[FitError]:
    """Read a pattern as ECMA-262 does, where `$` is the end alone; in Python it is also before a last newline."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield FitError(f"{instance!r} does not match {pattern!r}")


EcmaValidator = extend(Draft202012Validator, {"pattern": _matches})  # type: ignore[no-untyped-call]  # its stub has no types


@settings(max_examples=500, deadline=None)
@given(value=uploads)
@example(value={"image_id": "0\n", "image": {"url": "0"}})
def test_whatever_is_accepted_fits_the_published_schema(value: dict[str, Any]) -> None:
    try:
        ImageUploadedV1.model_validate_json(json.dumps(value))
    except ValidationError:
        return
    EcmaValidator(json_schema(IMAGE_UPLOADED_V1)).validate(value)


@settings(max_examples=500, deadline=None)
@given(value=uploads)
@example(value={"image_id": "0\n", "image": {"url": "0"}})
def test_whatever_fits_the_published_schema_is_accepted(value: dict[str, Any]) -> None:
    # That a text is a time is a remark in JSON Schema, and no rule.
    unchecked = value | {"uploaded_at": None}
    if EcmaValidator(json_schema(IMAGE_UPLOADED_V1)).is_valid(unchecked):
        ImageUploadedV1.model_validate_json(json.dumps(unchecked))
