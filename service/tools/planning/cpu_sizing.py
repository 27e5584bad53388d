"""How many CPU cores keep a GPU busy: decoding in worker processes, and what one thread has to do for every image.

All times were measured on cores of this project's test machine; yours differ, and `make bench ARGS=decode` measures
the largest of them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

DECODES_A_CORE = MappingProxyType[str, float]({"2 MP": 47.0, "12 MP": 15.5})
"""JPEG photographs a second through the decode pool, on each of two cores (docs/benchmarks.md)."""

# Megapixels, and the CPU time of a decoder process; the smallest is what `make bench ARGS=stages` decodes.
_DECODE_S = ((0.26, 0.00106), (2.0, 1 / DECODES_A_CORE["2 MP"]), (12.0, 1 / DECODES_A_CORE["12 MP"]))

# The service's own process, for an image fetched by HTTP: event, fetch, decision, Kafka. Measured with the whole
# service on Apache Kafka and an engine paced like a GPU; 1.2 ms where the image travels in the event.
EVENT_CPU_S = 0.0016
# vLLM's part in the same process: preparing a pre-sized image, and handing the request over. Measured, with a uuid.
SUBMISSION_CPU_S = 0.0017 + 0.00023
# vLLM's engine process schedules and waits for the GPU in a loop of its own.
ENGINE_CORES = 1.0


@dataclass(frozen=True, slots=True)
class CpuSizing:
    """What keeps up with a rate of images."""

    cores: Mapping[str, int]
    """By size of photograph."""
    wall_images_per_s: float
    """What one process can pass on, however many cores there are."""
    processes: int
    """So many share the work."""


def process_wall(passes: float = 1.0) -> float:
    """Return the images a second that one process can pass on: its threads share one interpreter.

    `passes` is how often an image is handed to the engine, on average: 1.2 with a first pass that clears four in five.
    """
    return 1 / _process_s(passes)


def _process_s(passes: float) -> float:
    return EVENT_CPU_S + passes * SUBMISSION_CPU_S


def decode_s(megapixels: float) -> float:
    """Return the CPU time of decoding a photograph of that size: on the lines through what was measured."""
    lines = list(pairwise(_DECODE_S))
    (small, least_s), (large, most_s) = next((line for line in lines if megapixels <= line[1][0]), lines[-1])
    return max(_DECODE_S[0][1], least_s + (megapixels - small) * (most_s - least_s) / (large - small))


def feed(images_per_s: float, passes: float = 1.0) -> CpuSizing:
    """Return what feeds a GPU of that rate; an image is decoded once, whatever the number of passes."""
    return CpuSizing(
        cores={size: _cores(images_per_s, rate, passes) for size, rate in DECODES_A_CORE.items()},
        wall_images_per_s=process_wall(passes),
        processes=math.ceil(images_per_s / process_wall(passes)),
    )


def fed_by(cores: int, size: str, passes: float = 1.0) -> float:
    """Return the images a second that so many cores feed, before any GPU's limit; 0 if they are too few."""
    return max(0.0, (cores - ENGINE_CORES) / _cpu_s(DECODES_A_CORE[size], passes))


def _cores(images_per_s: float, decodes_a_core: float, passes: float) -> int:
    return math.ceil(images_per_s * _cpu_s(decodes_a_core, passes) + ENGINE_CORES)


def _cpu_s(decodes_a_core: float, passes: float) -> float:
    return 1 / decodes_a_core + _process_s(passes)
