"""How long one answer takes: on a card that does nothing else, and on one that is kept full."""

from dataclasses import dataclass

from service.tools.planning.plan import PrecisionPlan
from service.tools.planning.roofline import ImageTime, written_token_s
from service.tools.planning.throughput import STEPS_IN_FLIGHT
from service.tools.planning.workload import TAGS_TOKENS, Candidate


@dataclass(frozen=True, slots=True)
class Latency:
    """Of one image in seconds, and of its written answer in tokens a second."""

    first_answer_s: float
    """Until the token of stage 1."""
    tokens_per_s: float
    tags_s: float
    """Until the tags are written."""


def idle_latency(candidate: Candidate, time: ImageTime) -> Latency:
    """Return what the only image on a card takes; every step reads the weights."""
    written_s = time.weights + (written_token_s(candidate) or 0.0)
    first_s = max(time.weights, time.stage1)
    return Latency(first_s, 1 / written_s, first_s + (TAGS_TOKENS - 1) * written_s)


def busy_latency(plan: PrecisionPlan) -> Latency | None:
    """Return what an image takes at full load: it waits for a step, and each token of an answer takes one."""
    if plan.pace is None:
        return None
    step_s = plan.pace.step_s
    return Latency(STEPS_IN_FLIGHT * step_s, 1 / step_s, (STEPS_IN_FLIGHT + TAGS_TOKENS) * step_s)
