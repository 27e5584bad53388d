"""The settings of how records are delivered: topics, the window, commits, attempts and dead letters."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from service.settings.types import MIB, Delays, Group, Positive, PositiveSeconds, TopicSuffixes, settings_conflict


class TopicSettings(Group):
    """Names of the Kafka topics."""

    uploads: str = "images.uploaded"
    """Topic that the service reads upload events from."""
    verdicts: str = "images.verdicts"
    """Topic that the service writes verdicts to."""
    tags: str = "images.tags"
    """Topic that the service writes tags to."""
    dead_letters: str = "images.uploaded.dead"
    """Topic that the service writes dead letters to: events that could not be judged, with the reason."""
    shadow: str = "images.verdicts.shadow"
    """Topic that the service writes what shadows decide to; it is needed where the group `shadow` names any."""

    audit: str = "images.verdicts.audit"
    """Topic that the service writes audits of allowed images to; it is needed where `policy.audit_share` is above 0."""

    def outcomes(self) -> dict[str, str]:
        """Return the topics of outcomes, by the setting that names each."""
        return {
            "topics.verdicts": self.verdicts,
            "topics.tags": self.tags,
            "topics.dead_letters": self.dead_letters,
        }

    @model_validator(mode="after")
    def _outcomes_are_not_read_again(self) -> Self:
        if self.uploads in {self.verdicts, self.tags, self.dead_letters}:
            names = ("topics.verdicts", "topics.tags", "topics.dead_letters")
            raise settings_conflict(
                "topics.uploads must differ from the topics that are written", "topics.uploads", *names
            )
        others = {self.uploads, self.verdicts, self.tags, self.dead_letters}
        if self.shadow in others:
            raise settings_conflict("topics.shadow must differ from the other topics", "topics.shadow")
        if self.audit in others | {self.shadow}:
            raise settings_conflict("topics.audit must differ from the other topics", "topics.audit")
        return self


class WindowSettings(Group):
    """Limits on records in flight. No further records are taken in while one of the limits is reached."""

    max_records: Positive = 256
    """Records that are decoded and judged at the same time. The default keeps an engine's queue full."""
    max_waiting: Annotated[int, Field(ge=0)] = 4096
    """Records in flight besides: they wait for their image, their next attempt or their turn. Enough to read past a
    burst of one tenant, or past the images of a slow host, to the records behind."""
    max_bytes: Positive = 256 * MIB
    """Half of it for events, with what they hold once they are read, and half for images: what has arrived of them,
    then their pixels until the engine is done. An image waits until there is room; one at least always goes on."""
    max_span: Annotated[int, Field(gt=0, le=24_000)] = 20_000
    """Per partition, newest received minus oldest unfinished offset. Above 24,000 the progress bitmap could outgrow
    the 4,096 characters that brokers accept as offset metadata."""


class CommitSettings(Group):
    """When outcomes are committed: at a count or after a time, whichever comes first."""

    interval_s: PositiveSeconds = 0.05
    """A transaction costs about 3 ms of CPU, whatever it holds; twenty a second cost 6 % of a core. Where more than two
    partitions commit they do so less often, up to twice a second; with nothing else in flight none waits so long."""
    max_outcomes: Positive = 1000
    """So many are committed without waiting for the interval. What finishes during a commit goes into the next one;
    when four times as many wait, their partition is read no further until the brokers have caught up."""
    max_bytes: Positive = 8 * MIB
    """Of outcomes in one transaction, before compression; one outcome alone may be larger. A partition whose commits
    take more than a quarter of `timeout_s` makes smaller ones until they are quick again."""
    max_waiting_bytes: Positive = 64 * MIB
    """Of events and outcomes that wait for their commit, in all partitions together. Nothing more is read beyond it,
    nor of a partition that holds a quarter of it. What is in the window then still joins them, so they take up to
    `window.max_bytes` more."""
    timeout_s: PositiveSeconds = 15.0
    """A commit that takes longer is given up, its producer rebuilt and its fate read back, and half as much is tried
    next; under `kafka.request_timeout_s`."""
    transaction_timeout_s: PositiveSeconds = 60.0
    """Time after which the broker aborts the transaction of a vanished process. Must be above `timeout_s`."""

    @model_validator(mode="after")
    def _transactions_outlive_commits(self) -> Self:
        if self.transaction_timeout_s <= self.timeout_s:
            message = "commit.transaction_timeout_s must be above commit.timeout_s"
            raise settings_conflict(message, "commit.transaction_timeout_s", "commit.timeout_s")
        return self


class RetrySettings(Group):
    """Repeated attempts within the process after transient faults."""

    max_attempts: Positive = 4
    """Attempts, the first included. Then the record goes to the next of `retry.tiers`, or becomes a dead letter."""
    initial_backoff_s: PositiveSeconds = 0.2
    """Delay before the second attempt."""
    max_backoff_s: PositiveSeconds = 5.0
    """Upper limit of the delay between attempts."""
    multiplier: Annotated[float, Field(ge=1.0)] = 3.0
    """Factor by which the delay grows from one attempt to the next."""
    jitter: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    """Random share of each delay, so that records that failed together are not repeated together."""
    tiers: Delays = ()
    """Delays such as 30s and 10m, after which attempts begin anew: a topic `<topics.uploads>.retry.<delay>` for each.
    After the last one a record becomes a dead letter."""


class DeadLetterSettings(Group):
    """Limit on dead letters with a possible cause in the service. At the limit the service stops; nothing is lost."""

    max_consecutive: Positive = 1000
    """Dead letters that count, without one success between them. High enough for a burst of images that one uploader
    deleted too early."""
    max_ratio: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9
    """Share of counted dead letters among the last `window_records` counted outcomes."""
    window_records: Positive = 5000
    """Number of outcomes that `max_ratio` refers to: successes, and counted dead letters."""
    min_sources: Positive = 5
    """Of each limit no tenant contributes more than this part, a fifth, and no host that events name: an uploader can
    make its own events fail at will. Failures of the engine and of your own stores count in full while fewer tenants
    are known. 1 counts all records alike."""
    notice_tenants: TopicSuffixes = ()
    """Tenants that may read why their events failed: for each a topic `<topics.dead_letters>.notices.<tenant>`, which
    its uploaders can be allowed to read. It holds the key, the reason and the origin of their dead letters, and no
    event. `topics.dead_letters` holds all of every tenant, and is for operators."""
