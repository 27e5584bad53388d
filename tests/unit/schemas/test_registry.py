"""Names of messages, versions and CloudEvents types."""

from schemas.registry import MESSAGES


def test_the_cloudevents_types_are_those_of_the_contract() -> None:
    assert {message.slug: message.event_type for message in MESSAGES} == {
        "image_uploaded.v1": "modstream.image.uploaded.v1",
        "verdict.v1": "modstream.image.verdict.v1",
        "tags.v1": "modstream.image.tags.v1",
        "shadow_decision.v1": "modstream.image.shadow.v1",
        "review_decided.v1": "modstream.image.review_decided.v1",
        "audit.v1": "modstream.image.audit.v1",
    }


def test_a_model_is_named_by_its_version() -> None:
    assert all(message.model.__name__.endswith(f"V{message.version}") for message in MESSAGES)
