"""The dashboard *Service*: the service's health, and what limits it."""

from deploy.grafana.board import Board, Kind, Limit, Panel, Query, Row, Variable
from deploy.grafana.kafka_rows import KAFKA
from deploy.grafana.process_row import PROCESSES
from deploy.grafana.promql import (
    HERE,
    INSTANCE,
    JOB,
    TRIED_AGAIN,
    buckets,
    highest,
    mean,
    met,
    or_zero,
    quantile,
    rate,
    share,
    total,
)
from deploy.grafana.work_rows import API, ENGINE, FETCH_AND_DECODE, GPU

STAGES = ("wait", "fetch", "decode", "engine", "decide", "explain")

JUDGED = 'outcome="judged"'
FINISHED = 'outcome=~"judged|dead_lettered"'
# Prometheus 2 keeps the exporter's spelling of a bound, later releases write it with a decimal point.
WITHIN_30_S = 'le=~"30|30.0"'

IN_TIME = share(
    rate("modstream_upload_age_seconds_bucket", JUDGED, WITHIN_30_S, over="1h"),
    rate("modstream_upload_age_seconds_count", JUDGED, over="1h"),
)
DEAD_SHARE = share(
    or_zero(rate("modstream_records_total", 'outcome="dead_lettered"', over="1h")),
    rate("modstream_records_total", FINISHED, over="1h"),
)

HEALTHY = Row(
    "Is it healthy?",
    (
        Panel(
            "Processes ready",
            "Normal: 100 %. Less for minutes: a process loads its model, drains, or reaches no broker; "
            "`/health/ready` of that process lists its checks. Runbook: ModstreamNotReady.",
            (Query(f"sum(modstream_ready{{{HERE}}}) / count(modstream_ready{{{HERE}}})"),),
            Kind.NUMBER,
            unit="percentunit",
            width=4,
            height=4,
            limits=(Limit(0, "red"), Limit(0.5, "orange"), Limit(1, "green")),
        ),
        Panel(
            "Verdicts within 30 s of upload, last hour",
            "Normal: 99 % and more, which is the service level. Less: the row *What limits it* shows the slow part. "
            "Runbook: ModstreamVerdictsLate.",
            (Query(IN_TIME),),
            Kind.NUMBER,
            unit="percentunit",
            width=4,
            height=4,
            limits=(Limit(0, "red"), Limit(0.95, "orange"), Limit(0.99, "green")),
        ),
        Panel(
            "Images finished a second",
            "Normal: equal to the rate of uploads. It falls while lag grows: the row *What limits it* shows the slow "
            "part. It falls while lag is 0: fewer images are uploaded.",
            (Query(rate("modstream_records_total", FINISHED)),),
            Kind.NUMBER,
            unit="reqps",
            width=4,
            height=4,
        ),
        Panel(
            "Lag",
            "Images without a committed outcome, including those in flight. Normal: about the rate times the seconds "
            "that an image takes. Growing: more images are uploaded than judged. Runbook: ModstreamFallsBehind.",
            (Query(total("modstream_lag")),),
            Kind.NUMBER,
            width=4,
            height=4,
        ),
        Panel(
            "Oldest image in flight",
            "Normal: under 30 s. Older: further attempts, its image host or the engine delay it. "
            "Runbook: ModstreamImageWaitsTooLong.",
            (Query(highest("modstream_oldest_age_seconds")),),
            Kind.NUMBER,
            unit="s",
            width=4,
            height=4,
            limits=(Limit(0, "green"), Limit(30, "orange"), Limit(300, "red")),
        ),
        Panel(
            "Dead letters, last hour",
            "Share of finished images. Normal: under 1 %. More: see their reasons below, then run "
            "`modstream dead-letters stats`. Runbook: ModstreamDeadLetters.",
            (Query(DEAD_SHARE),),
            Kind.NUMBER,
            unit="percentunit",
            width=4,
            height=4,
            limits=(Limit(0, "green"), Limit(0.01, "orange"), Limit(0.1, "red")),
        ),
    ),
)

OUTCOMES = Row(
    "Outcomes and waiting images",
    (
        Panel(
            "Records by outcome",
            "Normal: almost all `judged`. `put_off`: the record is deferred to a retry topic. `dead_lettered`: the "
            "record became a dead letter. The panel to the right has the reasons of both.",
            (Query(rate("modstream_records_total", by="outcome"), "{{outcome}}"),),
            Kind.STACK,
            unit="reqps",
        ),
        Panel(
            "Dead letters and deferred records by reason",
            "Normal: few, with `image.…` reasons, which uploaders cause. `fetch.…`: an object store fails. "
            "`engine.…`: the engine fails. `event.…`: an uploader is broken. docs/operate.md has the table of reasons.",
            (
                Query(
                    met(rate("modstream_records_total", 'outcome!="judged"', by="outcome, reason")),
                    "{{outcome}} {{reason}}",
                ),
            ),
            Kind.STACK,
            unit="reqps",
        ),
        Panel(
            "Failed attempts by reason",
            "Faults that are tried again. Normal: near 0. This rate rises before that of dead letters. "
            "Runbook: ModstreamAttemptsFail.",
            (Query(met(rate("modstream_attempts_failed_total", TRIED_AGAIN, by="reason")), "{{reason}}"),),
            unit="reqps",
        ),
        Panel(
            "Lag by partition",
            "Normal: about the same for all partitions. One alone grows: its uploads have one key, or its process is "
            "slow. "
            "A missing partition has no owner. Runbook: ModstreamPartitionUnowned.",
            (Query(highest("modstream_lag", by="topic, partition"), "{{topic}} {{partition}}"),),
        ),
        Panel(
            "Where the waiting images are",
            "Normal: none on the broker. `in flight`: the service works on them. `by committed offset`: the lag of "
            "Kafka's own tools, which is too high, because it counts finished images above an unfinished one.",
            (
                Query(total("modstream_backlog"), "on the broker"),
                Query(total("modstream_in_flight"), "in flight"),
                Query(total("modstream_lag_committed"), "by committed offset"),
            ),
        ),
        Panel(
            "Age of an image at its outcome",
            "From upload to committed outcome. Normal: p99 under 30 s. p50 rises with lag; p99 alone rises with "
            "retries and slow image servers.",
            tuple(Query(quantile(q, "modstream_upload_age_seconds"), f"p{round(q * 100)}") for q in (0.5, 0.95, 0.99)),
            unit="s",
            limits=(Limit(0, "green"), Limit(30, "red")),
        ),
    ),
)

LIMITS = Row(
    "What limits it",
    (
        Panel(
            "Window occupancy by bound",
            "How much of each bound on records in flight is used, by the fullest process. Normal: under 100 % while "
            "lag is small. At 100 % with lag: a stage takes too long; the panel to the right shows which. "
            "`span` at 100 %: one image holds back its partition.",
            (Query(highest("modstream_window_occupancy", by="bound"), "{{bound}}"),),
            unit="percentunit",
            top=1.0,
        ),
        Panel(
            "Mean seconds by stage",
            "Normal: as last week. A stage that is much higher than usual limits the service: `fetch` the object "
            "store, `decode` the cores, `engine` the model. `wait` is the time until the first stage begins, and rises "
            "with the others.",
            (Query(mean("modstream_stage_duration_seconds", by="stage"), "{{stage}}"),),
            Kind.STACK,
            unit="s",
        ),
        Panel(
            "p95 by stage",
            "Normal: a few times the mean. Far above it: a few servers or images are slow, not all.",
            (Query(quantile(0.95, "modstream_stage_duration_seconds", by="stage"), "{{stage}}"),),
            unit="s",
        ),
        Panel(
            "Stage $stage: p50, p95, p99",
            "Choose the stage at the top of the page. Normal: as last week; shift the time range to compare.",
            tuple(
                Query(quantile(q, "modstream_stage_duration_seconds", 'stage=~"$stage"'), f"p{round(q * 100)}")
                for q in (0.5, 0.95, 0.99)
            ),
            unit="s",
        ),
        Panel(
            "Stage $stage: all images",
            "Normal: one band, at the height of last week. Two bands: two kinds of images or servers. A band that "
            "climbs: a queue. A dot is one image: click it to open its trace. Dots (exemplars) need OTLP; a scrape has "
            "none.",
            (Query(buckets("modstream_stage_duration_seconds", 'stage=~"$stage"'), "{{le}}"),),
            Kind.HEATMAP,
            unit="s",
        ),
        Panel(
            "Age at the outcome: all images",
            "Normal: all below 30 s. A second band above: records that were deferred or tried again. A band that "
            "climbs: lag.",
            (Query(buckets("modstream_upload_age_seconds"), "{{le}}"),),
            Kind.HEATMAP,
            unit="s",
        ),
    ),
)

SERVICE = Board(
    uid="modstream-service",
    title="modstream: Service",
    summary="The service's health, and what limits it. Read from the top; each panel says what is normal.",
    variables=(JOB, INSTANCE, Variable("stage", "Stage", options=("engine", *(s for s in STAGES if s != "engine")))),
    rows=(HEALTHY, OUTCOMES, LIMITS, ENGINE, FETCH_AND_DECODE, API, KAFKA, PROCESSES, GPU),
)
