"""*Cost*: what 1,000 images cost as measured, beside what others charge."""

from deploy.grafana.board import Board, Kind, Panel, Query, Row
from deploy.grafana.promql import INSTANCE, JOB, TRIED_AGAIN, grown, mean, or_zero, rate, share, share_of_all, total
from service.tools.planning.prices import SERVICES

JUDGED = 'outcome="judged"'
SECONDS_AN_HOUR = 3600
SECONDS_A_DAY = 86_400
# Of the commercial services: the usual one to compare with, not the dearest.
AWS_USD = next(service.usd_per_1000 for service in SERVICES if service.name == "AWS Rekognition")

PRICE = total("modstream_machine_price", by="currency")


def _images(over: str) -> str:
    return rate("modstream_records_total", JUDGED, over=over)


def _per_1000(images_a_second: str) -> str:
    return f"1000 * {PRICE} / scalar({SECONDS_AN_HOUR} * {images_a_second} > 0)"


# The recorded rate of five minutes; see deploy/prometheus/rules.yaml.
BUSIEST = 'sum(max_over_time(job_outcome:modstream_records:rate5m{job=~"$job", outcome="judged"}[1d]))'

ASKED_OF_THE_SETTING = "No data: `monitoring.machine_price` is not set."

NOW = Row(
    "What an image costs",
    (
        Panel(
            "Cost of 1,000 images, last hour",
            "Price of the machines ÷ images judged in the hour. It rises when the machines have less to do, not when "
            f"they do more. {ASKED_OF_THE_SETTING}",
            (Query(_per_1000(_images("1h")), "{{currency}}"),),
            Kind.NUMBER,
            unit="currencyUSD",
            width=6,
            height=5,
        ),
        Panel(
            "The same at the day's busiest five minutes",
            "What it would cost if the machines were always as busy as at their best. Far below the first number: "
            f"fewer machines at quiet hours would pay. {ASKED_OF_THE_SETTING}",
            (Query(_per_1000(BUSIEST), "{{currency}}"),),
            Kind.NUMBER,
            unit="currencyUSD",
            width=6,
            height=5,
        ),
        Panel(
            "Images judged in the last day",
            "Counted, not extrapolated; less than a day of history counts what there is.",
            (Query(grown("modstream_records_total", JUDGED, over="1d")),),
            Kind.NUMBER,
            width=6,
            height=5,
        ),
        Panel(
            "Machines, an hour",
            f"The sum of `monitoring.machine_price` over all processes. {ASKED_OF_THE_SETTING}",
            (Query(PRICE, "{{currency}}"),),
            Kind.NUMBER,
            unit="currencyUSD",
            width=6,
            height=5,
        ),
        Panel(
            "Cost of 1,000 images, and list prices",
            "List prices are those of the README, in US dollars, without volume discounts; the services look at "
            "more or less than your engine does. Our line above one of them: too little to do for these machines.",
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
            "The rate of the last five minutes, for a day. The daily curve shows how much of the machines is idle at "
            "night.",
            (Query(f"{SECONDS_A_DAY} * {_images('5m')}", "images a day"),),
            width=12,
            height=9,
        ),
    ),
)

WHY = Row(
    "What it is made of",
    (
        Panel(
            "Saved in a day against AWS Rekognition's list price",
            "Images of the last day at that price, less a day of the machines. Negative: at this load the service by "
            "the image is cheaper. Meant for prices in US dollars.",
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
            "What a language model computes for an image. Normal: flat. More `generated`: more tags, explanations or "
            "second looks. No data: this engine is no language model.",
            (
                Query(
                    share_of_all(rate("modstream_engine_tokens_total", by="kind"), _images("$__rate_interval")),
                    "{{kind}}",
                ),
            ),
        ),
        Panel(
            "Bytes fetched an image",
            "What the network carries for an image. Normal: flat. Rising: uploaders send larger files; a smaller "
            "rendition costs less.",
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
            "Mean time in the engine, its queue included. It bounds what one process can judge.",
            (Query(mean("modstream_stage_duration_seconds", 'stage="engine"'), "engine"),),
            unit="s",
            width=12,
        ),
        Panel(
            "Work that came to nothing",
            "Share of attempts that failed. Each is paid for and judged again. Normal: under 1 %.",
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

COST = Board(
    uid="modstream-cost",
    title="modstream: Cost",
    summary="What 1,000 images cost as measured, how many there are, and what others charge.",
    variables=(JOB, INSTANCE),
    rows=(NOW, WHY),
    since="now-7d",
)
