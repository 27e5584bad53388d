import pytest

from schemas.image_uploaded import ImageByUrlV1, ImageInlineV1
from service.api.openai.image_urls import reference_of
from service.media.errors import ImageReferenceError, SchemeNotAllowedError


@pytest.mark.parametrize("url", ["https://cdn.example.com/a.jpg", "http://cdn.example.com/a.jpg", "S3://bucket/key"])
def test_an_address_is_fetched(url: str) -> None:
    assert reference_of(url) == ImageByUrlV1(url=url)


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        ("data:image/png;base64", "image/png"),
        ("DATA:image/svg+xml;charset=utf-8;Base64", "image/svg+xml"),
        ("data:;base64", "application/octet-stream"),
    ],
)
def test_a_data_url_is_the_image_itself(head: str, media_type: str) -> None:
    assert reference_of(f"{head},iVBORw0KGgo=") == ImageInlineV1(inline="iVBORw0KGgo=", media_type=media_type)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "FILE:///x", "ftp://a/b", "gopher://a", "javascript:alert(1)"])
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(SchemeNotAllowedError):
        reference_of(url)


@pytest.mark.parametrize(
    "url",
    [
        *("/etc/passwd", "", "data:image/png,plain", "data:image/png;base64", "data:image/png;base64,"),
        "data:" + "a" * 9999,
        "https://example.com/" + "a" * 9000,
    ],
)
def test_what_is_no_usable_url_is_refused(url: str) -> None:
    with pytest.raises(ImageReferenceError):
        reference_of(url)
