"""What is audited, and the topic that it takes."""

import pytest
from pydantic import ValidationError

from service.delivery.required_topics import audit_topics, background_topics, output_topics, required_topics
from service.settings.delivery import TopicSettings
from service.settings.settings import PolicySettings, Settings


def test_nothing_is_audited_by_default() -> None:
    assert not Settings().policy.audits
    assert audit_topics(Settings()) == {}


def test_the_topic_of_audits_is_created_where_there_are_any_and_no_outcome_waits_for_it() -> None:
    settings = Settings(policy=PolicySettings(audit_share=0.01))
    assert background_topics(settings) == {"topics.audit": "images.verdicts.audit"}
    assert "topics.audit" not in required_topics(settings) | output_topics(settings)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), 1e-300, 9e-7])
def test_a_share_is_a_probability_that_audits_something(share: float) -> None:
    with pytest.raises(ValidationError):
        PolicySettings(audit_share=share)


@pytest.mark.parametrize("topic", ["images.uploaded", "images.verdicts", "images.tags", "images.verdicts.shadow"])
def test_audits_have_a_topic_of_their_own(topic: str) -> None:
    with pytest.raises(ValidationError, match=r"topics\.audit must differ"):
        TopicSettings(audit=topic)
