"""What the stages of one process cost, and its bounds: the parameters of the simulation."""

import math
import random
from dataclasses import dataclass

from service.settings.delivery import CommitSettings, WindowSettings
from service.tools.planning.capacity import FETCH_S
from service.tools.planning.cpu_sizing import EVENT_CPU_S, SUBMISSION_CPU_S, decode_s
from service.tools.planning.plan import GpuPlan
from service.tools.planning.throughput import STEPS_IN_FLIGHT
from service.tools.planning.workload import FOLLOW_UPS, REASON_TOKENS

# The 99th percentile of a fetch against its median: object stores are known for such tails; an assumption.
FETCH_TAIL = 5.0
_NORMAL_P99 = 2.326


@dataclass(frozen=True, slots=True)
class EngineCosts:
    """An engine that works in steps, one after the other, each with whatever waits when it begins."""

    step_images: int
    """New ones in a step, at most."""
    image_s: float
    """Of a step, for each new image in it."""
    shortest_step_s: float
    in_flight: int
    """Requests that it accepts; others wait in the process."""
    long_share: float = 0.0
    """Of images that are asked about again and get a reason in words."""
    long_steps: int = 0
    """For which such an image stays after its first step."""

    @property
    def images_per_s(self) -> float:
        """At most."""
        full_s = max(self.shortest_step_s, self.step_images * self.image_s)
        return self.step_images / full_s


@dataclass(frozen=True, slots=True)
class StageCosts:
    """Of one process."""

    engine: EngineCosts
    event_s: float = EVENT_CPU_S
    """Of the main process's one interpreter, for each image."""
    receive_s: float = 0.005
    """From publishing to the process, by a fetch that waits for records."""
    fetch_median_s: float = FETCH_S
    fetch_tail: float = FETCH_TAIL
    decode_s: float = decode_s(2.0)
    decoders: int = 4
    commit_interval_s: float = CommitSettings().interval_s
    commit_s: float = 0.012
    """Of one transaction, from its first message to the broker's last answer."""
    window: int = WindowSettings().max_records

    def fetch_s(self, chance: random.Random) -> float:
        """Draw a fetch's time: log-normal."""
        return self.fetch_median_s * math.exp(chance.gauss(0.0, math.log(self.fetch_tail) / _NORMAL_P99))

    @property
    def images_per_s(self) -> float:
        """What the slowest stage can do."""
        slowest_s = max(self.event_s, self.decode_s / self.decoders, 1 / self.engine.images_per_s)
        return 1 / slowest_s


def rehearsal_engine(batch_size: int, batch_s: float) -> EngineCosts:
    """Return the engine of load rehearsals: a batch takes its time, however few are in it."""
    return EngineCosts(batch_size, batch_s / batch_size, batch_s, in_flight=1_000_000)


def gpu_costs(plan: GpuPlan, *, decoders: int, megapixels: float) -> StageCosts:
    """Return a process with a card as `modstream engine plan` calculates it."""
    take, work = plan.take, plan.work
    if take is None or take.pace is None or take.time is None or take.memory is None:
        message = f"{plan.model.name} does not fit {plan.gpu.name}"
        raise ValueError(message)
    engine = EngineCosts(
        step_images=take.memory.step_tokens // work.image_tokens,
        image_s=1 / take.images_per_s,
        shortest_step_s=take.time.weights,
        in_flight=take.pace.in_flight,
        long_share=work.stage2_share,
        long_steps=STEPS_IN_FLIGHT * FOLLOW_UPS + STEPS_IN_FLIGHT + REASON_TOKENS,
    )
    event_s = EVENT_CPU_S + SUBMISSION_CPU_S
    return StageCosts(engine, event_s=event_s, decode_s=decode_s(megapixels), decoders=decoders)
