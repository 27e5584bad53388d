"""References to objects, the requests that are signed for them, and what is made of a store's answers."""

import os
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from structlog.testing import capture_logs
from yarl import URL

from service.core.errors import ModstreamError, RejectedError
from service.media.errors import FetchFailedError, ImageNotFoundError, ImageReferenceError, SchemeNotAllowedError
from service.media.fetch.answer import Answer
from service.media.fetch.client import Reserve
from service.media.fetch.s3 import S3Fetcher, S3Reference, parse_s3
from service.settings.media import S3Settings

ENDPOINT = "http://minio.internal:9000"
SETTINGS = S3Settings(
    buckets=("uploads", "more.uploads"),
    endpoint=ENDPOINT,
    access_key_id="the-id",
    secret_access_key=SecretStr("the-secret"),
)


class Store:
    """Gives one answer to every request, and keeps the URLs."""

    def __init__(self, answer: Answer | None = None) -> None:
        self._answer = answer or Answer(200, None, b"an image", succeeded=True)
        self.asked: list[URL] = []

    async def get(self, url: URL, *, named: str, reserve: Reserve) -> Answer:
        self.asked.append(url)
        return self._answer


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("s3://uploads/42.jpg", S3Reference("uploads", "42.jpg")),
        ("S3://uploads/2026/03/42.jpg", S3Reference("uploads", "2026/03/42.jpg")),
        ("s3://my.bucket-1/a b%20c?d#e+f.jpg", S3Reference("my.bucket-1", "a b%20c?d#e+f.jpg")),
        ("s3://uploads/ä/😀.jpg", S3Reference("uploads", "ä/😀.jpg")),
        ("s3://uploads/" + "k" * 1024, S3Reference("uploads", "k" * 1024)),
    ],
)
def test_the_key_is_taken_as_written(text: str, reference: S3Reference) -> None:
    assert parse_s3(text) == reference


@pytest.mark.parametrize(
    "bucket",
    [
        "",
        "ab",
        "a" * 64,
        "Uploads",
        "up_loads",
        "-uploads",
        "uploads-",
        ".uploads",
        "uploads.",
        "up..loads",
        "..",
        "up%2f",
    ],
)
def test_what_cannot_be_a_bucket_is_refused(bucket: str) -> None:
    with pytest.raises(ImageReferenceError, match="bucket"):
        parse_s3(f"s3://{bucket}/42.jpg")


@pytest.mark.parametrize(
    "text", ["s3:uploads/a", "s3:/uploads/a", "s3://user@uploads/a", "s3://uploads:80/a", "s3://h?/a"]
)
def test_what_has_another_form_is_refused(text: str) -> None:
    with pytest.raises(ImageReferenceError):
        parse_s3(text)


@pytest.mark.parametrize(
    "key", ["", "/", "/a", "a/", "a//b", ".", "..", "a/./b", "a/../../other/b", "a\nb", "a\0", "k" * 1025, "\ud800"]
)
def test_what_would_be_signed_for_another_key_is_refused(key: str) -> None:
    with pytest.raises(ImageReferenceError, match="key"):
        parse_s3(f"s3://uploads/{key}")


@given(st.text(st.characters() | st.sampled_from("/.%?#&+ \\~*"), max_size=30))
async def test_the_request_is_for_the_key_that_was_named(key: str) -> None:
    store = Store()
    try:
        await S3Fetcher(SETTINGS, store).fetch(f"s3://uploads/{key}")
    except RejectedError:
        return
    (url,) = store.asked
    assert unquote(url.raw_path) == f"/uploads/{key}"
    assert str(url.origin()) == ENDPOINT


async def test_the_request_is_signed_with_the_keys_of_the_settings() -> None:
    store = Store()
    assert await S3Fetcher(SETTINGS, store).fetch("s3://more.uploads/42.jpg") == b"an image"
    (url,) = store.asked
    assert url.query["X-Amz-Credential"].startswith("the-id/")
    assert url.query["X-Amz-Signature"]
    assert "the-secret" not in str(url)


async def test_without_keys_in_the_settings_the_usual_ones_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "from-the-environment")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    store = Store()
    await S3Fetcher(S3Settings(buckets=("uploads",), region="eu-west-1"), store).fetch("s3://uploads/42.jpg")
    (url,) = store.asked
    assert str(url.origin()) == "https://s3.eu-west-1.amazonaws.com"
    assert url.raw_path == "/uploads/42.jpg"
    assert url.query["X-Amz-Credential"].startswith("from-the-environment/")
    assert url.query["X-Amz-Security-Token"] == "token"


async def test_no_environment_leads_to_another_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(variable, "http://elsewhere:1")
    monkeypatch.setenv("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "false")
    store = Store()
    await S3Fetcher(SETTINGS, store).fetch("s3://uploads/42.jpg")
    assert [f"{url.origin()}{url.raw_path}" for url in store.asked] == [f"{ENDPOINT}/uploads/42.jpg"]


async def test_without_any_keys_another_attempt_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    # Nothing listens where an instance's own credentials would come from.
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(FetchFailedError, match=r"cannot be signed.*media\.fetch\.s3"):
        await S3Fetcher(S3Settings(buckets=("uploads",)), Store()).fetch("s3://uploads/42.jpg")


@pytest.mark.parametrize("buckets", [(), ("uploads",)])
async def test_a_bucket_that_is_not_named_is_refused_unasked(buckets: tuple[str, ...]) -> None:
    store = Store()
    with pytest.raises(SchemeNotAllowedError, match=r"media\.fetch\.s3\.buckets"):
        await S3Fetcher(SETTINGS.model_copy(update={"buckets": buckets}), store).fetch("s3://other/42.jpg")
    assert store.asked == []


async def test_a_star_stands_for_every_bucket() -> None:
    store = Store()
    await S3Fetcher(SETTINGS.model_copy(update={"buckets": ("*",)}), store).fetch("s3://other/42.jpg")
    assert [url.raw_path for url in store.asked] == ["/other/42.jpg"]


def error_document(code: str) -> bytes:
    return f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>…</Message></Error>'.encode()


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (404, "NoSuchKey", ImageNotFoundError),
        (404, "NoSuchBucket", ImageNotFoundError),
        (403, "AccessDenied", ImageNotFoundError),
        (403, "InvalidObjectState", ImageNotFoundError),
        (403, "SignatureDoesNotMatch", FetchFailedError),
        (403, "InvalidAccessKeyId", FetchFailedError),
        (403, "RequestTimeTooSkewed", FetchFailedError),
        (400, "ExpiredToken", FetchFailedError),
        (400, "AuthorizationHeaderMalformed", FetchFailedError),
        (301, "PermanentRedirect", FetchFailedError),
        (503, "SlowDown", FetchFailedError),
        (500, "InternalError", FetchFailedError),
    ],
)
async def test_what_is_wrong_with_our_request_is_not_held_against_the_image(
    status: int, code: str, error: type[ModstreamError]
) -> None:
    store = Store(Answer(status, None, error_document(code)))
    said = rf"{status} {code}$" if error is ImageNotFoundError else rf"{status}$"
    with pytest.raises(error, match=rf"the object store answered {said}"), capture_logs() as logs:
        await S3Fetcher(SETTINGS, store).fetch("s3://uploads/42.jpg")
    assert [line["code"] for line in logs] == [code][: error is FetchFailedError]


@pytest.mark.parametrize(
    ("status", "error"), [(404, ImageNotFoundError), (403, ImageNotFoundError), (503, FetchFailedError)]
)
async def test_without_an_error_document_the_status_counts(status: int, error: type[ModstreamError]) -> None:
    with pytest.raises(error, match=rf"answered {status}$"):
        await S3Fetcher(SETTINGS, Store(Answer(status, None, b""))).fetch("s3://uploads/42.jpg")


@pytest.mark.parametrize("location", [None, "https://uploads.s3.eu-west-1.amazonaws.com/"])
async def test_an_answer_that_names_the_buckets_region_names_the_setting(location: str | None) -> None:
    store = Store(Answer(301, location, error_document("PermanentRedirect"), bucket_region="eu-west-1"))
    with pytest.raises(FetchFailedError, match=r"in eu-west-1, media\.fetch\.s3\.region is us-east-1"):
        await S3Fetcher(SETTINGS, store).fetch("s3://uploads/42.jpg")


async def test_a_region_that_can_be_none_is_not_repeated() -> None:
    store = Store(Answer(400, None, b"", bucket_region="<script>"))
    with pytest.raises(ImageNotFoundError, match=r"answered 400$"):
        await S3Fetcher(SETTINGS, store).fetch("s3://uploads/42.jpg")


async def test_a_redirect_is_not_followed_and_hints_at_the_region() -> None:
    store = Store(Answer(307, "http://169.254.169.254/", b""))
    with pytest.raises(FetchFailedError, match=r"media\.fetch\.s3\.region"):
        await S3Fetcher(SETTINGS, store).fetch("s3://uploads/42.jpg")
    assert len(store.asked) == 1
