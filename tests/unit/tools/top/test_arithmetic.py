import math

from service.tools.top.arithmetic import ScrapeInterval, maxima, quantile, quantiles, rates, sums
from service.tools.top.scrape import parse
from testing.scrapes import scrape


def stretch(before: str, now: str, *, seconds: float = 10.0) -> ScrapeInterval:
    return ScrapeInterval(parse(before, at_s=100.0), parse(now, at_s=100.0 + seconds))


def test_a_rate_is_growth_by_time_of_all_processes_together() -> None:
    both = [stretch(scrape(judged=100), scrape(judged=300)), stretch(scrape(judged=0), scrape(judged=100))]
    assert rates(both, "modstream_records_total", "outcome")[("judged",)] == 30.0


def test_a_counter_that_fell_belongs_to_a_process_that_started_anew() -> None:
    restarted = stretch(scrape(judged=5000), scrape(judged=50))
    assert rates([restarted], "modstream_records_total", "outcome")[("judged",)] == 5.0


def test_one_look_gives_no_rate() -> None:
    only = parse(scrape(judged=500), at_s=1.0)
    assert rates([ScrapeInterval(only, only)], "modstream_records_total", "outcome")[("judged",)] == 0.0


def test_gauges_are_added_up_or_the_largest_is_taken() -> None:
    both = [stretch(scrape(judged=0), scrape(judged=0))] * 2
    assert sums(both, "modstream_engine_requests", "state") == {("running",): 128.0, ("waiting",): 24.0}
    assert maxima(both, "modstream_oldest_age_seconds") == {(): 61.5}


def fetches(*, quick: int, slow: int) -> str:
    total = quick + slow
    bounds = (("1", quick), ("2", total), ("+Inf", total))
    return "".join(f'd_bucket{{stage="fetch",le="{bound}"}} {count}\n' for bound, count in bounds)


def test_quantiles_report_what_was_observed_between_the_looks() -> None:
    changed = stretch(fetches(quick=100, slow=0), fetches(quick=100, slow=100))
    assert quantiles([changed], "d", "stage", (0.5, 0.75)) == {"fetch": (1.5, 1.75)}


def test_where_nothing_was_observed_between_the_looks_all_since_the_start_is_reported() -> None:
    still = fetches(quick=100, slow=0)
    assert quantiles([stretch(still, still)], "d", "stage", (0.5,)) == {"fetch": (0.5,)}


def test_above_the_last_bound_nothing_better_than_it_is_known() -> None:
    assert quantile(0.99, [(1.0, 50.0), (math.inf, 100.0)]) == 1.0
    assert math.isnan(quantile(0.5, []))
