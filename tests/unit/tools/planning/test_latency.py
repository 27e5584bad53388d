import pytest

from service.tools.planning.latency import Latency, busy_latency, idle_latency
from service.tools.planning.plan import plan_precision
from tests.unit.tools.planning.candidates import candidate, time_of


def idle(gpu: str, of: str = "bf16") -> Latency:
    return idle_latency(candidate(gpu, of), time_of(gpu, of))


def busy(gpu: str, of: str = "bf16") -> Latency:
    latency = busy_latency(plan_precision(candidate(gpu, of)))
    assert latency is not None
    return latency


def test_a_card_of_24_gb_answers_within_1_5_s_and_writes_20_tokens_a_second_while_it_is_idle() -> None:
    assert idle("RTX 3090").first_answer_s < 1.5
    assert idle("RTX 3090").tokens_per_s > 20


def test_at_full_load_only_the_first_answer_keeps_that() -> None:
    assert busy("RTX 3090").first_answer_s == pytest.approx(0.41, abs=0.01)
    assert busy("RTX 3090").tokens_per_s == pytest.approx(4.9, abs=0.1)
    assert busy("RTX 3090").tags_s > 12


def test_an_idle_card_reads_the_weights_for_each_token() -> None:
    assert idle("RTX 3090").tokens_per_s < 1 / time_of("RTX 3090", "bf16").weights


def test_what_does_not_fit_has_no_latency() -> None:
    assert busy_latency(plan_precision(candidate("RTX 3080 10GB", "bf16"))) is None
