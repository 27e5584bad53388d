"""The dashboard *Cost*: the measured cost of 1,000 images, beside list prices of services."""

from deploy.grafana.board import Board, Kind, Panel, Query, Row
from deploy.grafana.promql import INSTANCE, JOB, TRIED_AGAIN, grown, mean, or_zero, rate, share, share_of_all, total
from service.tools.planning.prices import SERVICES

JUDGED = 'outcome="judged"'
SECONDS_AN_HOUR = 3600
SECONDS_A_DAY = 86_400
# The service that people usually compare with; it is not the most expensive one.
AWS_USD = next(service.usd_per_1000 for service in SERVICES if service.name == "AWS Rekognition")

PRICE = total("modstream_machine_price", by="currency")


def _images(over: str) -> str:
    return rate("modstream_records_total", JUDGED, over=over)


def _per_1000(images_a_second: str) -> str:
    return f"1000 * {PRICE} / scalar({SECONDS_AN_HOUR} * {images_a_second} > 0)"


# The recorded rate of five minutes; see deploy/prometheus/rules.yaml.
BUSIEST = 'sum(max_over_time(job_outcome:modstream_records:rate5m{job=~"$job", outcome="judged"}[1d]))'

PRICE_NOT_SET = "No data: `monitoring.machine_price` is not set."

NOW = Row(
    "Cost of an image",
    (
        Panel(
            "Cost of 1,000 images, last hour",
            "Price of the machines ÷ images judged in the hour. It rises when fewer images are uploaded. "
            f"{PRICE_NOT_SET}",
            (Query(_per_1000(_images("1h")), "{{currency}}"),),
            Kind.NUMBER,
            unit="currencyUSD",
            width=6,
            height=5,
        ),
        Panel(
            "The same at the day's busiest five minutes",
            "The cost if the machines were always as busy as in these five minutes. Far below the first number: fewer "
            f"machines at quiet hours save money. {PRICE_NOT_SET}",
            (Query(_per_1000(BUSIEST), "{{currency}}"),),
            Kind.NUMBER,
            unit="currencyUSD",
            width=6,
            height=5,
        ),
        Panel(
            "Images judged in the last day",
            "Counted, not extrapolated. With less than a day of history it is the number so far.",
            (Query(grown("modstream_records_total", JUDGED, over="1d")),),
            Kind.NUMBER,
            width=6,
            height=5,
        ),
        Panel(
            "Machines, an hour",
            f"The sum of `monitoring.machine_price` over all processes. {PRICE_NOT_SET}",
            (Query(PRICE, "{{currency}}"),),
            Kind.NUMBER,
            unit="currencyUSD",
            width=6,
            height=5,
        ),
        Panel(
            "Cost of 1,000 images, and list prices",
            "List prices are those of the README, in US dollars, without volume discounts. The services cover other "
            "categories than your engine. If modstream's line is above one of them, these machines have too few images "
            "to judge.",
            (
                Query(_per_1000(_images("1h")), "modstream, {{currency}}"),
                *(Query(f"vector({s.usd_per_1000:g})", s.name) for s in SERVICES if s.usd_per_1000),
            ),
            unit="currencyUSD",
            width=12,
            height=9,
        ),
        Panel(
            "Images a day at this rate",
            "The rate of the last five minutes, extrapolated to a day. The daily curve shows how idle the machines are "
            "at night.",
            (Query(f"{SECONDS_A_DAY} * {_images('5m')}", "images a day"),),
            width=12,
            height=9,
        ),
    ),
)

WHY = Row(
    "Parts of the cost",
    (
        Panel(
            "Saved in a day against AWS Rekognition's list price",
            "Price of the last day's images at AWS, minus the price of the machines for a day. Negative: at this load "
            "AWS is cheaper. `monitoring.machine_price` must be in US dollars.",
            (
                Query(
                    f"{AWS_USD / 1000:g} * scalar({grown('modstream_records_total', JUDGED, over='1d')}) "
                    f"- 24 * {PRICE}",
                    "{{currency}}",
                ),
            ),
            Kind.NUMBER,
            unit="currencyUSD",
        ),
        Panel(
            "Tokens an image by kind",
            "Tokens that a language model computes for an image. Normal: flat. More `generated`: more tags, "
            "explanations or follow-up questions. No data: this engine is no language model.",
            (
                Query(
                    share_of_all(rate("modstream_engine_tokens_total", by="kind"), _images("$__rate_interval")),
                    "{{kind}}",
                ),
            ),
        ),
        Panel(
            "Bytes fetched an image",
            "Normal: flat. Rising: uploaders send larger files; smaller renditions cost less.",
            (
                Query(
                    share(
                        or_zero(rate("modstream_fetch_io_bytes_total")),
                        rate("modstream_records_total"),
                    ),
                    "bytes",
                ),
            ),
            unit="bytes",
        ),
        Panel(
            "Engine seconds an image",
            "Mean time in the engine, including its queue. It limits the rate of one process.",
            (Query(mean("modstream_stage_duration_seconds", 'stage="engine"'), "engine"),),
            unit="s",
            width=12,
        ),
        Panel(
            "Wasted work",
            "Failed attempts for each record. Their work is done again. Normal: under 1 %.",
            (
                Query(
                    share(
                        or_zero(rate("modstream_attempts_failed_total", TRIED_AGAIN)),
                        rate("modstream_records_total"),
                    ),
                    "failed attempts a record",
                ),
            ),
            unit="percentunit",
            width=12,
        ),
    ),
)

BY_OUTCOME, SECONDS = "modstream_first_pass_images_total", "modstream_first_pass_duration_seconds"
FIRST, FULL = 'kind="first"', 'kind="full"'
# What the images would have taken by the full pass alone, at its mean.
ALL_IN_FULL = f"{mean(SECONDS, FULL)} * {rate(BY_OUTCOME)}"
IN_BOTH = f"({or_zero(rate(f'{SECONDS}_sum', FIRST))} + {rate(f'{SECONDS}_sum', FULL)})"
NOT_USED = "No data: no policy has a first pass."

TWO_PASSES = Row(
    "First pass",
    (
        Panel(
            "Images by first pass",
            "`cleared`: judged by the first pass alone. `passed_on`: judged by both. `skipped`: tags are wanted, or "
            "the image is small or ambiguous. `failed`: the full pass judged alone (runbook ModstreamFirstPassFails). "
            f"{NOT_USED}",
            (Query(share_of_all(rate(BY_OUTCOME, by="outcome"), rate(BY_OUTCOME)), "{{outcome}}"),),
            Kind.STACK,
            unit="percentunit",
        ),
        Panel(
            "Mean seconds of a pass",
            "Time of one pass over one picture, with its wait in the engine. A first pass that takes as long as the "
            f"full one saves little. {NOT_USED}",
            (Query(mean(SECONDS, by="kind"), "{{kind}}"),),
            unit="s",
        ),
        Panel(
            "Engine time saved by the first pass, estimated",
            "The share of the seconds that all images would have taken in the full pass, at its mean, and that both "
            "passes did not take. Waits count, so it is an estimate; seconds of a smaller engine count like those of "
            f"the large one. {NOT_USED}",
            (Query(f"1 - {IN_BOTH} / ({ALL_IN_FULL} > 0)", "share"),),
            unit="percentunit",
        ),
    ),
)

COST = Board(
    uid="modstream-cost",
    title="modstream: Cost",
    summary="The measured cost of 1,000 images, their number, and list prices of services.",
    variables=(JOB, INSTANCE),
    rows=(NOW, WHY, TWO_PASSES),
    since="now-7d",
)
