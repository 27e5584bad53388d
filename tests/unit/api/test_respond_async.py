import base64

import pytest

from schemas.image_uploaded import ImageByUrlV1, ImageInlineV1, ImageUploadedV1
from service.api.judging.places import Places
from service.api.judging.respond_async import AsyncAnswers, prefers_async
from service.api.judging.stored_outcomes import StoredOutcomes
from service.core.errors import ModstreamError
from service.events.codec_errors import EventTooLargeError
from service.kafka.errors import KafkaUnreachableError, PublishError
from service.policy.loader import Policies, PolicySet, load_policies
from service.settings.settings import PolicySettings

EVENT = ImageUploadedV1(image_id="a/b", tenant="shop", image=ImageByUrlV1(url="https://example.com/1.jpg"))


class Topic:
    """Takes events, or raises an error."""

    def __init__(self, error: ModstreamError | None = None) -> None:
        self.events: list[ImageUploadedV1] = []
        self._error = error

    async def publish(self, event: ImageUploadedV1) -> None:
        if self._error is not None:
            raise self._error
        self.events.append(event)


@pytest.fixture
def stored() -> StoredOutcomes:
    return StoredOutcomes(10, 100_000)


@pytest.fixture
def places() -> Places:
    return Places(1, max_waiting=1)


def answers(topic: Topic, stored: StoredOutcomes, places: Places) -> AsyncAnswers:
    return AsyncAnswers(topic, stored, load_policies(PolicySettings()), places)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["respond-async"], True),
        (["wait=10, Respond-Async; note=7"], True),
        (["return=minimal", "respond-async"], True),
        (["respond-async-not", "wait=10"], False),
        ([], False),
    ],
)
def test_the_preference_is_found_among_others(values: list[str], expected: bool) -> None:
    assert prefers_async(values) is expected


async def test_a_published_image_is_expected_and_its_location_is_encoded(
    stored: StoredOutcomes, places: Places
) -> None:
    topic = Topic()
    answered = await answers(topic, stored, places).answer(EVENT, attached=None, media_type="")
    assert topic.events == [EVENT]
    assert answered.status == 202
    assert answered.headers is not None
    assert answered.headers["Location"] == "/v1/verdicts/a%2Fb"
    assert stored.is_expected("a/b", "shop")


async def test_a_file_of_a_form_travels_inside_its_event(stored: StoredOutcomes, places: Places) -> None:
    topic = Topic()
    await answers(topic, stored, places).answer(EVENT, attached=b"file", media_type="image/png")
    inline = base64.b64encode(b"file").decode()
    assert topic.events[0].image == ImageInlineV1(inline=inline, media_type="image/png")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (PublishError(topic="images.uploaded", detail="kafka-7:9092"), 503, "api.stream_unavailable"),
        (KafkaUnreachableError(bootstrap_servers="kafka-7:9092", detail=""), 503, "api.stream_unavailable"),
        (EventTooLargeError(size_bytes=2, limit_bytes=1), 413, "event.too_large"),
    ],
)
async def test_an_image_that_was_not_published_is_not_expected(
    stored: StoredOutcomes, places: Places, error: ModstreamError, status: int, code: str
) -> None:
    answered = await answers(Topic(error), stored, places).answer(EVENT, attached=None, media_type="")
    assert answered.outcome.error is not None
    assert (answered.status, answered.outcome.error.code) == (status, code)
    assert "kafka-7" not in answered.outcome.error.message
    assert not stored.is_expected("a/b", "shop")


async def test_an_unknown_policy_is_refused_before_the_stream_has_the_image(
    stored: StoredOutcomes, places: Places
) -> None:
    topic = Topic()
    event = EVENT.model_copy(update={"policy": "none"})
    answered = await answers(topic, stored, places).answer(event, attached=None, media_type="")
    assert answered.status == 422
    assert topic.events == []


async def test_another_tenants_policy_is_refused_before_the_stream_has_the_image(
    stored: StoredOutcomes, places: Places
) -> None:
    present = load_policies(PolicySettings()).default
    other = present.model_copy(update={"name": "strict", "tenants": ("shoes",)})
    policies = Policies(PolicySet({present.name: present, other.name: other}, present, {"shoes": other}))
    topic = Topic()
    event = EVENT.model_copy(update={"policy": "strict"})
    answered = await AsyncAnswers(topic, stored, policies, places).answer(event, attached=None, media_type="")
    assert (answered.status, topic.events) == (422, [])


async def test_a_draining_service_takes_no_further_images(stored: StoredOutcomes, places: Places) -> None:
    places.drain()
    answered = await answers(Topic(), stored, places).answer(EVENT, attached=None, media_type="")
    assert answered.status == 503
