"""What is published for a record that is given up: its dead letter, and a notice where its tenant has a topic."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from service.errors import ModstreamError
from service.settings import Settings
from service.stream.dead_letter import cut, dead_letter
from service.stream.errors import DeadLetterUnfitError, OutcomesRefusedError
from service.stream.notices import notice, notice_topics, told_tenant
from service.stream.origin import Origin
from service.stream.publishing import record_bytes
from service.stream.records import Headers, OutgoingRecord, SourceRecord
from service.stream.topic_limits import TopicLimits
from service.telemetry.spans import QUIET


class DeadLetters:
    """Makes them as large as their topics accept."""

    def __init__(self, settings: Settings, limits: TopicLimits, *, now: Callable[[], datetime]) -> None:
        self._group_id = settings.kafka.group_id
        self._topic = settings.topics.dead_letters
        self._notices = notice_topics(settings)
        self._limits = limits
        self._now = now

    def of(
        self,
        record: SourceRecord,
        origin: Origin,
        failure: ModstreamError,
        *,
        tenant: str,
        attempt: int,
        trace_headers: Headers = (),
    ) -> tuple[OutgoingRecord, ...]:
        """Return the dead letter first; `tenant` is empty for a record that could not be read."""
        letter = dead_letter(
            record,
            origin,
            failure,
            attempt=attempt,
            topic=self._topic,
            group_id=self._group_id,
            failed_at=self._now(),
            trace_headers=trace_headers,
        )
        if not self._limits.accepts(letter):
            letter = cut(letter, max_bytes=self._limits.cut_bytes(self._topic))
        topic = self._notices.get(told_tenant(record, tenant)) if self._notices else None
        return (letter,) if topic is None else (letter, notice(letter, topic))

    def smaller(
        self, outcomes: tuple[OutgoingRecord, ...], refusal: OutcomesRefusedError
    ) -> tuple[OutgoingRecord, ...]:
        """Return a dead letter that is cut further, or left without a notice if that is what was refused.

        Raises `DeadLetterUnfitError` when the dead letter cannot be cut to what its topic accepts.
        """
        letter, *notices = outcomes
        if refusal.topic != letter.topic:
            return (letter,)
        smaller = cut(letter, max_bytes=self._limits.cut_bytes(letter.topic))
        if record_bytes(smaller) >= record_bytes(letter):
            raise DeadLetterUnfitError(topic=letter.topic, size_bytes=record_bytes(letter))
        return (replace(smaller, span=QUIET), *notices)
