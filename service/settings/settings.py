"""All settings of one process: every group, its default and the reason for it.

`load.py` fills them from a YAML file and the environment; the docstrings become docs/settings.md.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from service.settings.api import ApiSettings
from service.settings.delivery import CommitSettings, DeadLetterSettings, RetrySettings, TopicSettings, WindowSettings
from service.settings.engine import EngineSettings
from service.settings.kafka import KafkaSettings
from service.settings.media import MediaSettings
from service.settings.monitoring import MonitoringSettings, TelemetrySettings
from service.settings.shadow import ShadowSettings
from service.settings.types import MIB, Group, Positive, PositiveSeconds, settings_conflict
from service.settings.vllm import adapter_name

MIN_AUDIT_SHARE = 1e-6
"""An audit stands for a million images then, and one a day says nothing."""


def _counted(share: float) -> float:
    if 0.0 < share < MIN_AUDIT_SHARE:
        raise ValueError(f"a share below {MIN_AUDIT_SHARE:g} audits next to nothing: raise it, or set 0 to audit none")
    return share


class PolicySettings(Group):
    """Policies, which turn scores into decisions."""

    path: Path | None = None
    """A policy file in YAML, or a folder of them. When not set, the bundled default policy is used."""
    default: str = "default"
    """Name of the policy for events that name none."""
    calibration: Path | None = None
    """A file that `modstream calibrate` wrote: scores become probabilities by it before a policy decides, and verdicts
    name it. The service does not start if it was fitted on another model, prompt, precision or way from answers to
    scores than those that run. It is followed as policies are. When not set, the engine's scores count as they
    are."""
    reload_interval_s: PositiveSeconds | None = 5.0
    """How often the files of policies are read again. Changed ones are in force after two readings, without a restart;
    files with a mistake are refused, and the policies before them stay in force. null: on SIGHUP alone."""
    audit_share: Annotated[float, Field(ge=0.0, le=1.0), AfterValidator(_counted)] = 0.0
    """Share of the allowed images that are judged again in the background, with a question for every category and
    without a first pass, to estimate what is missed. Each process chooses them by a random
    key of its own, so that an uploader cannot predict which ones. 0 audits none; a millionth is the least above it."""
    audit_max_bytes: Positive = 64 * MIB
    """Pixels and events that images hold while they wait for their audit, beside `window.max_bytes`. An image that
    finds no room is left out, and reported."""
    audit_timeout_s: PositiveSeconds = 60.0
    """Time that an audited image may wait until the engine has room that no live image wants, and again for its
    answers. An image that is not audited in it is left out, and reported."""

    @property
    def audits(self) -> bool:
        """Whether any image is audited."""
        return self.audit_share > 0.0


class ShutdownSettings(Group):
    """Shutdown of the service."""

    drain_s: PositiveSeconds = 25.0
    """Time for records in flight after SIGTERM. The default is below the 30 s that Kubernetes grants."""


class Settings(Group):
    """All settings of one process."""

    delivery: Literal["exactly_once", "at_least_once"] = "exactly_once"
    """exactly_once: each record has exactly one outcome for those who read committed records; after a crash its image
    may be judged again. at_least_once is for brokers without transactions: after a crash some outcomes come twice."""
    ordering: Literal["unordered", "key"] = "unordered"
    """key: records with one key are judged one after the other; others overtake."""
    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    window: WindowSettings = WindowSettings()
    commit: CommitSettings = CommitSettings()
    retry: RetrySettings = RetrySettings()
    dead_letter: DeadLetterSettings = DeadLetterSettings()
    media: MediaSettings = MediaSettings()
    engine: EngineSettings = EngineSettings()
    policy: PolicySettings = PolicySettings()
    shadow: ShadowSettings = ShadowSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    api: ApiSettings = ApiSettings()
    shutdown: ShutdownSettings = ShutdownSettings()

    @model_validator(mode="after")
    def _commits_end_before_requests(self) -> Self:
        if self.commit.timeout_s >= self.kafka.request_timeout_s:
            message = "commit.timeout_s must be under kafka.request_timeout_s"
            raise settings_conflict(message, "commit.timeout_s", "kafka.request_timeout_s")
        return self

    @model_validator(mode="after")
    def _shadows_have_their_adapter(self) -> Self:
        shadow, names = self.shadow.engine, ("shadow.engine.kind", "shadow.engine.adapter", "engine.kind")
        if shadow.kind != "adapter":
            return self
        if self.engine.kind not in {"vllm", "openai"}:
            raise settings_conflict("shadow.engine.kind: adapter needs engine.kind vllm or openai", *names)
        if shadow.adapter is None:
            raise settings_conflict("shadow.engine.kind: adapter needs shadow.engine.adapter", *names)
        if self.engine.kind == "vllm" and shadow.adapter not in map(adapter_name, self.engine.vllm.adapters):
            message = "shadow.engine.adapter is none of engine.vllm.adapters"
            raise settings_conflict(message, "shadow.engine.adapter", "engine.vllm.adapters")
        return self
