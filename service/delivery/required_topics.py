"""Pure: the topics that the stream reads and writes, by the settings that name them."""

from service.delivery.notices import notice_topics
from service.delivery.retry import retry_tiers
from service.settings.delivery import TopicSettings
from service.settings.settings import Settings


def named_topics(settings: TopicSettings) -> dict[str, str]:
    """Return the topics that have a name of their own by the setting that names each."""
    return {f"topics.{name}": topic for name, topic in settings.model_dump().items()}


_SHADOW = "topics.shadow"
_AUDIT = "topics.audit"


def background_topics(settings: Settings) -> dict[str, str]:
    """Return the topics of shadows and audits by their settings, where there are any; the service starts without."""
    shadow = {_SHADOW: settings.topics.shadow} if settings.shadow.is_on else {}
    return shadow | audit_topics(settings)


def audit_topics(settings: Settings) -> dict[str, str]:
    """Return the topic of audits by its setting, if images are audited."""
    return {_AUDIT: settings.topics.audit} if settings.policy.audits else {}


def required_topics(settings: Settings) -> dict[str, str]:
    """Return every topic that the service needs, by the setting that it comes from."""
    tiers = zip(settings.retry.tiers, retry_tiers(settings), strict=True)
    notices = {f"dead_letter.notice_tenants: {tenant}": topic for tenant, topic in notice_topics(settings).items()}
    waiting = {f"retry.tiers: {delay}": tier.topic for delay, tier in tiers}
    named = named_topics(settings.topics)
    del named[_SHADOW], named[_AUDIT]
    return named | waiting | notices


def output_topics(settings: Settings) -> dict[str, str]:
    """Return every topic that outcomes are written to, by the setting that it comes from."""
    return {name: topic for name, topic in required_topics(settings).items() if topic != settings.topics.uploads}
