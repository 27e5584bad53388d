"""How many images a second come of an image's time: steps, and the requests that the service keeps in flight for them.

vLLM works in steps. A step reads new images, up to a number of tokens, and writes one token of every answer that is
being written; so each token of an answer waits for a step.
"""

from dataclasses import dataclass

from service.inference.vllm.arguments import concurrency
from service.settings.vllm import VllmSettings
from service.tools.planning.roofline import ImageTime
from service.tools.planning.workload import FOLLOW_UPS, REASON_TOKENS, TAGS_TOKENS, Workload

# Sizes of a step that are considered, the largest first: larger ones use a card better. The last holds three images.
STEP_TOKENS = (16384, 8192, 4096, 2048, 1024)
# 60 steps of this length, what tags take, are a quarter of `engine.timeout_s`.
MAX_STEP_S = 0.25
# One step of requests runs, and one waits: what the service keeps in flight.
STEPS_IN_FLIGHT = 2


@dataclass(frozen=True, slots=True)
class Pace:
    """A card at work, kept full."""

    step_tokens: int
    in_flight: int
    """Requests."""
    step_s: float
    """How long a step takes on average."""
    images_per_s: float


def images_a_step(step_tokens: int) -> int:
    """Return how many images the service counts on in a step."""
    return requests_in_flight(step_tokens) // STEPS_IN_FLIGHT


def requests_in_flight(step_tokens: int) -> int:
    """Return how many requests the service gives to vLLM at a time."""
    return concurrency(VllmSettings(max_batched_tokens=step_tokens))


def steps_an_image(work: Workload) -> float:
    """Return for how many steps an image holds a place, on average: a question waits for one, is read in the next."""
    follow_ups = STEPS_IN_FLIGHT * FOLLOW_UPS + STEPS_IN_FLIGHT + REASON_TOKENS
    passes = STEPS_IN_FLIGHT * work.passes
    return passes + work.stage2_share * follow_ups + work.tags_share * (STEPS_IN_FLIGHT + TAGS_TOKENS)


def pace(time: ImageTime, work: Workload, step_tokens: int) -> Pace:
    """Return the pace with steps of at most that size.

    The slower decides: a step's arithmetic for the images that begin in it, or reading the weights for it.
    """
    in_flight = requests_in_flight(step_tokens)
    images = in_flight / steps_an_image(work)
    step_s = max(time.weights, images * time.average(work))
    return Pace(step_tokens, in_flight, step_s, images / step_s)
