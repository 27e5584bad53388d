import pytest

from service.tools.planning.choice_tables import SHOWN, choices_markdown, priced
from service.tools.planning.choices import SIZES, choices
from service.tools.planning.gpus import find_gpu
from service.tools.planning.models import find_model, short_name
from service.tools.planning.plan import plan_gpu
from service.tools.planning.workload import TYPICAL


@pytest.mark.parametrize("gpu", ["RTX 3060", "L4", "H100"])
def test_smaller_models_are_faster_and_cost_less_by_the_same_factor(gpu: str) -> None:
    found = [each for each in choices(find_gpu(gpu), TYPICAL) if each.precision]
    assert [each.images_per_s for each in found] == sorted((each.images_per_s for each in found), reverse=True)
    first, last = found[0], found[-1]
    assert last.per_1000(2.5) / first.per_1000(2.5) == pytest.approx(first.images_per_s / last.images_per_s)


def test_each_model_is_the_one_that_its_own_plan_takes() -> None:
    for each in choices(find_gpu("L4"), TYPICAL):
        take = plan_gpu(find_gpu("L4"), each.model, TYPICAL).take
        assert take is not None
        assert (each.precision, each.images_per_s) == (take.precision.name, take.images_per_s)


def test_the_model_that_was_asked_for_is_among_them() -> None:
    found = choices(find_gpu("H100"), TYPICAL, also=find_model("32B"))
    assert [short_name(each.model) for each in found] == [*SIZES, "32B"]


def test_a_model_that_does_not_fit_has_no_price() -> None:
    large = choices(find_gpu("RTX 3080 10GB"), TYPICAL)[-1]
    assert (large.precision, large.per_1000(1.0)) == (None, 0.0)
    assert priced([large], 1.0)[0]["precision"] is None


def test_1_000_images_cost_their_share_of_an_hour() -> None:
    usual = choices(find_gpu("H100"), TYPICAL)[-1]
    assert usual.per_1000(3.6) == pytest.approx(1 / usual.images_per_s)


def test_the_document_has_all_three_on_each_card() -> None:
    assert len(choices_markdown(TYPICAL).splitlines()) == 2 + len(SHOWN) * len(SIZES)
