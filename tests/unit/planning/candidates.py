"""Short names for what the tests weigh."""

from service.planning.candidate import Candidate
from service.planning.gpus import find_gpu
from service.planning.models import find_model
from service.planning.precisions import PRECISIONS, Precision
from service.planning.roofline import ImageTime, image_time
from service.planning.work import TYPICAL, Work


def precision(name: str) -> Precision:
    return next(each for each in PRECISIONS if each.name == name)


def candidate(gpu: str, of: str = "fp8", *, model: str = "8B", work: Work = TYPICAL) -> Candidate:
    return Candidate(find_gpu(gpu), find_model(model), precision(of), work)


def time_of(gpu: str, of: str = "fp8", *, model: str = "8B", work: Work = TYPICAL) -> ImageTime:
    time = image_time(candidate(gpu, of, model=model, work=work))
    assert time is not None
    return time
