"""Short names for what the tests weigh."""

from service.tools.planning.gpus import find_gpu
from service.tools.planning.models import find_model
from service.tools.planning.precisions import PRECISIONS, Precision
from service.tools.planning.roofline import ImageTime, image_time
from service.tools.planning.workload import TYPICAL, Candidate, Workload


def precision(name: str) -> Precision:
    return next(each for each in PRECISIONS if each.name == name)


def candidate(gpu: str, of: str = "fp8-block", *, model: str = "8B", work: Workload = TYPICAL) -> Candidate:
    return Candidate(find_gpu(gpu), find_model(model), precision(of), work)


def time_of(gpu: str, of: str = "fp8-block", *, model: str = "8B", work: Workload = TYPICAL) -> ImageTime:
    time = image_time(candidate(gpu, of, model=model, work=work))
    assert time is not None
    return time
