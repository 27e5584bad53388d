"""What is weighed: a model in a precision on a card, for some work."""

from dataclasses import dataclass

from service.planning.gpus import Gpu
from service.planning.models import ModelShape
from service.planning.precisions import Precision
from service.planning.work import Work


@dataclass(frozen=True, slots=True)
class Candidate:
    """One combination."""

    gpu: Gpu
    model: ModelShape
    precision: Precision
    work: Work
