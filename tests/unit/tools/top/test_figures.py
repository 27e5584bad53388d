from service.tools.top.arithmetic import ScrapeInterval
from service.tools.top.figures import Figures, figures
from service.tools.top.scrape import parse
from service.tools.top.watch import History
from testing.scrapes import api_scrape, scrape


def seen(**urls: tuple[str, str]) -> Figures:
    looks = {url: ScrapeInterval(parse(one, at_s=0.0), parse(two, at_s=10.0)) for url, (one, two) in urls.items()}
    return figures(looks, {})


BUSY = (scrape(judged=1000, failed=40), scrape(judged=1200, failed=80))


def test_rate_lag_and_age_are_reported_at_a_glance() -> None:
    reported = seen(a=BUSY)
    assert reported.a_second == {"judged": 20.0, "dead_lettered": 1.0}
    assert (reported.lag, reported.in_flight, reported.oldest_age_s, reported.over_s) == (1240, 140, 61.5, 10.0)
    assert reported.occupancy == {"records": 1.0, "bytes": 0.25, "span": 0.01}


def test_the_partition_that_waits_most_comes_first() -> None:
    first, second = seen(a=BUSY).partitions
    assert (first.topic, first.partition, first.lag, first.on_broker, first.committed_lag) == (
        "images.uploaded",
        1,
        1200,
        1100,
        1300,
    )
    assert second.partition == 0


def test_a_partition_that_two_processes_report_counts_once() -> None:
    assert seen(a=BUSY, b=BUSY).lag == 1240


def test_stages_come_in_the_order_in_which_an_image_passes_them() -> None:
    stages = seen(a=BUSY).stages
    assert [(stage.stage, stage.a_second) for stage in stages] == [("fetch", 20.0), ("engine", 20.0)]
    assert stages[0].p50_s == 0.1


def test_a_reason_that_was_never_met_is_left_out() -> None:
    (reason,) = seen(a=BUSY).reasons
    assert (reason.reason, reason.failed_attempts, reason.dead_letters, reason.put_off) == ("fetch.failed", 4.0, 1.0, 0)


def test_engine_processes_and_gpus_are_reported() -> None:
    reported = seen(a=BUSY, b=BUSY)
    assert (reported.engine.running, reported.engine.waiting, reported.engine.decode_workers) == (128, 24, 4)
    assert reported.engine.tokens_a_second == {"prompt": 12_000.0}
    assert [(each.url, each.is_ready, each.engine, each.partitions) for each in reported.processes] == [
        ("a", True, "rehearsal", 2),
        ("b", True, "rehearsal", 2),
    ]
    assert [gpu.utilization for gpu in reported.gpus] == [0.97, 0.97]


def test_the_requests_of_an_api_are_counted_without_those_of_probes() -> None:
    reported = seen(a=(api_scrape(answered=0), api_scrape(answered=200)))
    assert reported.api is not None
    assert (reported.api.a_second, reported.api.failed, reported.api.refused) == (24.0, 2.0, 2.0)
    assert (reported.api.running, reported.api.waiting) == (5, 1)
    assert [(each.route, each.a_second, each.p50_s) for each in reported.api.routes] == [("/v1/verdicts", 20.0, 0.1)]
    assert [(each.reason, each.failed_requests) for each in reported.reasons] == [
        ("api.busy", 2.0),
        ("engine.unavailable", 2.0),
    ]


def test_a_process_without_a_stream_has_no_partitions_and_one_beside_it_does() -> None:
    reported = seen(a=(api_scrape(answered=0), api_scrape(answered=1)), b=BUSY)
    assert [each.partitions for each in reported.processes] == [None, 2]
    assert seen(b=BUSY).api is None


def test_a_process_that_only_just_started_has_no_figures_but_is_there() -> None:
    reported = seen(a=("", ""))
    assert (reported.lag, reported.partitions, reported.stages, reported.reasons) == (0, (), (), ())
    assert [each.is_ready for each in reported.processes] == [False]


def test_rates_are_over_the_last_ten_seconds_whatever_the_interval() -> None:
    history = History(over_s=10.0)
    stretches = [history.add(parse("", at_s=float(second))) for second in range(0, 40, 2)]
    assert [stretch.seconds for stretch in stretches[:4]] == [0.0, 2.0, 4.0, 6.0]
    assert stretches[-1].seconds == 10.0


def test_files_of_the_page_do_not_hide_the_routes_of_programs_while_nothing_is_asked() -> None:
    before = api_scrape(answered=200)
    page = "".join(
        line.replace('route="/v1/verdicts"', 'route="/page/app.css"') + "\n"
        for line in before.splitlines()
        if "duration_seconds" in line and "/v1/verdicts" in line
    )
    reported = seen(a=(before + page, before + page))
    assert reported.api is not None
    assert [(each.route, each.a_second) for each in reported.api.routes] == [("/v1/verdicts", 0), ("/page/app.css", 0)]
