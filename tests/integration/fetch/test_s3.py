"""Images from a real S3-compatible store, through the guard that everything passes."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from schemas.image_uploaded import ImageByUrlV1
from service.media.errors import (
    AddressNotAllowedError,
    FetchFailedError,
    ImageNotFoundError,
    ImageTooLargeError,
    SchemeNotAllowedError,
)
from service.media.fetch.fetcher import ImageFetcher
from service.settings.media import FetchSettings, S3Settings
from testing.object_store import ACCESS_KEY_ID, SECRET_ACCESS_KEY, ObjectStore, object_store

pytestmark = pytest.mark.tool("seaweedfs")

BUCKET = "uploads"
LIMIT = 12_000_000


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with object_store(BUCKET) as running:
        yield running


def settings(store: ObjectStore, **s3: object) -> FetchSettings:
    known = {
        "buckets": (BUCKET, "missing-bucket"),
        "endpoint": store.endpoint,
        "access_key_id": ACCESS_KEY_ID,
        "secret_access_key": SecretStr(SECRET_ACCESS_KEY),
    }
    return FetchSettings(max_bytes=LIMIT, s3=S3Settings.model_validate(known | s3))


@pytest.fixture
async def fetcher(store: ObjectStore) -> AsyncIterator[ImageFetcher]:
    async with ImageFetcher(settings(store)) as opened:
        yield opened


@pytest.mark.parametrize(
    "key",
    ["42.jpg", "2026/03/42.jpg", "a b+c.jpg", "100%.jpg", "a%20b.jpg", "ä/😀.jpg", "what?#!*'().jpg", "a=b&c.jpg"],
)
async def test_an_object_arrives_unchanged_whatever_its_key(
    store: ObjectStore, fetcher: ImageFetcher, key: str
) -> None:
    data = key.encode() * 1000
    store.put(BUCKET, key, data)
    assert (await fetcher.fetch(ImageByUrlV1(url=f"s3://{BUCKET}/{key}"))).data == data


async def test_a_large_object_arrives_unchanged(store: ObjectStore, fetcher: ImageFetcher) -> None:
    data = os.urandom(LIMIT)
    store.put(BUCKET, "large", data)
    assert (await fetcher.fetch(ImageByUrlV1(url=f"s3://{BUCKET}/large"))).data == data


async def test_an_object_over_the_limit_is_refused(store: ObjectStore, fetcher: ImageFetcher) -> None:
    store.put(BUCKET, "too-large", bytes(LIMIT + 1))
    with pytest.raises(ImageTooLargeError):
        await fetcher.fetch(ImageByUrlV1(url=f"s3://{BUCKET}/too-large"))


@pytest.mark.parametrize("url", [f"s3://{BUCKET}/missing.jpg", "s3://missing-bucket/42.jpg"])
async def test_what_is_missing_rejects_the_record(fetcher: ImageFetcher, url: str) -> None:
    with pytest.raises(ImageNotFoundError, match="answered 404 NoSuch"):
        await fetcher.fetch(ImageByUrlV1(url=url))


async def test_another_bucket_is_refused(store: ObjectStore, fetcher: ImageFetcher) -> None:
    store.create_bucket("private")
    store.put("private", "42.jpg", b"secret")
    with pytest.raises(SchemeNotAllowedError, match=r"media\.fetch\.s3\.buckets"):
        await fetcher.fetch(ImageByUrlV1(url="s3://private/42.jpg"))


async def test_wrong_keys_are_not_held_against_the_image(store: ObjectStore) -> None:
    wrong = settings(store, secret_access_key=SecretStr("wrong"))
    async with ImageFetcher(wrong) as fetcher:
        with pytest.raises(FetchFailedError, match=r"the object store answered 403$"), capture_logs() as logs:
            await fetcher.fetch(ImageByUrlV1(url=f"s3://{BUCKET}/42.jpg"))
    assert [line["code"] for line in logs] == ["SignatureDoesNotMatch"]


async def test_a_store_that_is_down_is_named_in_the_log_alone(store: ObjectStore) -> None:
    down = settings(store, endpoint="http://127.0.0.1:1")
    async with ImageFetcher(down) as fetcher:
        with pytest.raises(FetchFailedError) as raised, capture_logs() as logs:
            await fetcher.fetch(ImageByUrlV1(url=f"s3://{BUCKET}/42.jpg"))
    assert str(raised.value).endswith("the object store gave no usable answer")
    assert [line["host"] for line in logs] == ["127.0.0.1"]


async def test_trust_in_the_store_is_not_for_an_events_own_url(store: ObjectStore, fetcher: ImageFetcher) -> None:
    store.put(BUCKET, "42.jpg", b"an image")
    await fetcher.fetch(ImageByUrlV1(url=f"s3://{BUCKET}/42.jpg"))
    with pytest.raises(AddressNotAllowedError):
        await fetcher.fetch(ImageByUrlV1(url=f"{store.endpoint}/{BUCKET}/42.jpg"))
