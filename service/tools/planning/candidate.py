"""What is weighed: a model in a precision on a card, for some work."""

from dataclasses import dataclass

from service.tools.planning.gpus import Gpu
from service.tools.planning.models import ModelShape
from service.tools.planning.precisions import Precision
from service.tools.planning.workload import Workload


@dataclass(frozen=True, slots=True)
class Candidate:
    """One combination."""

    gpu: Gpu
    model: ModelShape
    precision: Precision
    work: Workload
