"""*Service*: is it healthy, and what limits it."""

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
from deploy.grafana.work_rows import ENGINE, FETCH_AND_DECODE, GPU

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
            "`/health/ready` of that process says which. Runbook: ModstreamNotReady.",
            (Query(f"sum(modstream_ready{{{HERE}}}) / count(modstream_ready{{{HERE}}})"),),
            Kind.NUMBER,
            unit="percentunit",
            width=4,
            height=4,
            limits=(Limit(0, "red"), Limit(0.5, "orange"), Limit(1, "green")),
        ),
        Panel(
            "Verdicts within 30 s of upload, last hour",
            "Normal: 99 % and more; that is the service level. Less: look below for what limits the service. "
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
            "Normal: follows the uploads. It falls while lag grows: the service is limited, see the next rows. "
            "It falls while lag is 0: fewer uploads.",
            (Query(rate("modstream_records_total", FINISHED)),),
            Kind.NUMBER,
            unit="reqps",
            width=4,
            height=4,
        ),
        Panel(
            "Lag",
            "Images without a committed outcome, those in flight included. Normal: about the rate times the seconds "
            "that an image takes. Growing: more comes than is judged. Runbook: ModstreamFallsBehind.",
            (Query(total("modstream_lag")),),
            Kind.NUMBER,
            width=4,
            height=4,
        ),
        Panel(
            "Oldest image in flight",
            "Normal: under 30 s. Older: its retries, its image server or the engine hold it up. "
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
            "Share of finished images. Normal: under 1 %. More: look at their reasons below, then "
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
    "What comes out, and what waits",
    (
        Panel(
            "Records by outcome",
            "Normal: almost all `judged`. `put_off` waits in a retry topic for something outside; `dead_lettered` was "
            "given up. Both with their reasons to the right.",
            (Query(rate("modstream_records_total", by="outcome"), "{{outcome}}"),),
            Kind.STACK,
            unit="reqps",
        ),
        Panel(
            "Dead letters and put-offs by reason",
            "Normal: a thin line of `image.…` reasons, which are the uploaders'. `fetch.…` is an object store, "
            "`engine.…` the engine, `event.…` a broken uploader. The table of reasons is in docs/operate.md.",
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
            "Faults that are tried again. Normal: near 0. It rises before dead letters do, so look here first. "
            "Runbook: ModstreamAttemptsFail.",
            (Query(met(rate("modstream_attempts_failed_total", TRIED_AGAIN, by="reason")), "{{reason}}"),),
            unit="reqps",
        ),
        Panel(
            "Lag by partition",
            "Normal: all partitions alike. One alone grows: its uploads have one key, or its process is slow. "
            "A missing partition has no owner. Runbook: ModstreamPartitionUnowned.",
            (Query(highest("modstream_lag", by="topic, partition"), "{{topic}} {{partition}}"),),
        ),
        Panel(
            "Where the waiting images are",
            "Normal: none on the broker. `in flight` is being worked on. `by committed offset` is what Kafka's own "
            "tools call lag: it counts images that are finished above an unfinished one, so it overstates.",
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
            "Share of each bound on what is in flight, of the fullest process. Normal: anything under 100 % while lag "
            "is small. At 100 % with lag: work inside takes too long; the panel to the right says which stage. "
            "`span` at 100 %: one image holds its partition up.",
            (Query(highest("modstream_window_occupancy", by="bound"), "{{bound}}"),),
            unit="percentunit",
            top=1.0,
        ),
        Panel(
            "Mean seconds by stage",
            "Normal: as last week. The stage that is much higher than usual limits the service. `wait` follows the "
            "others: it is the time until the first stage begins. `fetch`: object store; `decode`: cores; `engine`: "
            "the model.",
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
            "Choose the stage above. Normal values are your own of last week: compare by shifting the time range.",
            tuple(
                Query(quantile(q, "modstream_stage_duration_seconds", 'stage=~"$stage"'), f"p{round(q * 100)}")
                for q in (0.5, 0.95, 0.99)
            ),
            unit="s",
        ),
        Panel(
            "Stage $stage: all images",
            "Normal: one band, where it was last week. Two bands are two kinds of images or servers; a band that "
            "climbs is a queue. A dot is one image with its trace (exemplars come by OTLP, not by a scrape): click it.",
            (Query(buckets("modstream_stage_duration_seconds", 'stage=~"$stage"'), "{{le}}"),),
            Kind.HEATMAP,
            unit="s",
        ),
        Panel(
            "Age at the outcome: all images",
            "Normal: all below 30 s. A second band above is what was put off or tried again; a band that climbs is "
            "lag.",
            (Query(buckets("modstream_upload_age_seconds"), "{{le}}"),),
            Kind.HEATMAP,
            unit="s",
        ),
    ),
)

SERVICE = Board(
    uid="modstream-service",
    title="modstream: Service",
    summary="Is it healthy, and what limits it. Read from the top; each panel says what is normal.",
    variables=(JOB, INSTANCE, Variable("stage", "Stage", options=("engine", *(s for s in STAGES if s != "engine")))),
    rows=(HEALTHY, OUTCOMES, LIMITS, ENGINE, FETCH_AND_DECODE, KAFKA, PROCESSES, GPU),
)
