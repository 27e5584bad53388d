"""Pure: the notice of a dead letter for a tenant with a topic of its own."""

from service.core.headers import MESSAGE, REASON, essential
from service.core.records import OutgoingRecord, SourceRecord
from service.delivery.handler import TenantOf
from service.settings.settings import Settings

_MAX_KEY_BYTES = 1024
"""A longer key is left out: a notice fits wherever a cut dead letter does."""

_MAX_READ_BYTES = 64 * 1024
"""Largest event (bytes) that is read again for its tenant after it broke the rules."""


_OPERATORS = (b"engine.", b"internal.", b"kafka.", b"policy.unusable_scores")
"""Reasons whose messages name the operator's servers, or repeat what these said."""

_WITHOUT_DETAILS = b"The operator has the details."


def notice_topics(settings: Settings) -> dict[str, str]:
    """Return the topic of notices of each tenant that has one."""
    return {
        tenant: f"{settings.topics.dead_letters}.notices.{tenant}" for tenant in settings.dead_letter.notice_tenants
    }


def tenant_named(record: SourceRecord, tenant: str, tenant_of: TenantOf) -> str:
    """Return the tenant of a record. `tenant` is empty for an invalid record, whose value may still name one."""
    if tenant or len(record.value or b"") > _MAX_READ_BYTES:
        return tenant
    return tenant_of(record) or ""


def notice(dead_letter: OutgoingRecord, topic: str) -> OutgoingRecord:
    """Return the notice of a dead letter for its tenant: the key, and headers with reason, time and record."""
    key = dead_letter.key if len(dead_letter.key or b"") <= _MAX_KEY_BYTES else None
    headers = dict(essential(dead_letter.headers))
    if (headers.get(REASON) or b"").startswith(_OPERATORS):
        headers[MESSAGE] = _WITHOUT_DETAILS
    return OutgoingRecord(topic, key, None, tuple(headers.items()))
