"""Creates series before their first event, because `increase()` does not see a counter's step from nothing to 1."""

import itertools
from collections.abc import Iterable, Iterator
from typing import get_args

from service.core.ambiguity import FEATURES
from service.core.errors import ModstreamError, RejectedError, TransientError
from service.inference.token_counts import begin_tokens_at_zero
from service.media.decode_deaths import REASONS
from service.media.errors import DecoderStalledError, DecodeTimeoutError
from service.settings.settings import Settings
from service.telemetry import labels
from service.telemetry.aggregation import Counter
from service.telemetry.instruments import (
    ATTEMPTS_FAILED,
    AUDITS_LEFT_OUT,
    DECODE_CRASHES,
    FETCH_IO,
    IMAGES_AMBIGUOUS,
    OFFSETS_LOST,
    POLICY_RELOADS,
    PRODUCER_REBUILDS,
    REBALANCES,
    RECORDS,
    SHADOW_LEFT_OUT,
)

_OF_LANGUAGE_MODELS = {"vllm", "openai"}


def begin_at_zero(settings: Settings) -> None:
    """Add 0 to every series whose labels are known beforehand."""
    REBALANCES.add(0)
    PRODUCER_REBUILDS.add(0)
    RECORDS.add(0, {labels.OUTCOME: "judged", labels.REASON: ""})
    for reason in sorted(_reasons()):
        RECORDS.add(0, {labels.OUTCOME: "dead_lettered", labels.REASON: reason})
        ATTEMPTS_FAILED.add(0, {labels.REASON: reason})
    _each(OFFSETS_LOST, labels.CAUSE, labels.LOST_OFFSETS)
    _each(IMAGES_AMBIGUOUS, labels.FEATURE, FEATURES)
    POLICY_RELOADS.add(0, {labels.REASON: ""})
    _each(FETCH_IO, labels.SCHEME, labels.SCHEMES)
    for reason in (*REASONS.values(), DecodeTimeoutError.reason, DecoderStalledError.reason):
        DECODE_CRASHES.add(0, {labels.REASON: reason})
    if settings.shadow.is_on:
        for part, reason in itertools.product(get_args(labels.ShadowPart), get_args(labels.ShadowReason)):
            SHADOW_LEFT_OUT.add(0, {labels.PART: part, labels.REASON: reason})
    if settings.policy.audits:
        _each(AUDITS_LEFT_OUT, labels.REASON, get_args(labels.AuditReason))
    if settings.engine.kind in _OF_LANGUAGE_MODELS:
        begin_tokens_at_zero()


def _each(counter: Counter, label: str, values: Iterable[str]) -> None:
    for value in values:
        counter.add(0, {label: value})


def _reasons() -> set[str]:
    """Return the reason codes that records can fail with."""
    return {kind.reason for branch in (RejectedError, TransientError) for kind in _below(branch)}


def _below(base: type[ModstreamError]) -> Iterator[type[ModstreamError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _below(kind)
