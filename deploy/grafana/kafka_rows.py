"""Rows of *Service* about Kafka: commits, ownership, producers."""

from deploy.grafana.board import Kind, Panel, Query, Row
from deploy.grafana.promql import grown, highest, mean_since_start, met, or_zero, quantile, rate, total

COMMITTED = 'result="committed"'

KAFKA = Row(
    "Kafka",
    (
        Panel(
            "Duration of a commit",
            "Outcomes and offsets in one transaction. Normal: p99 under 0.5 s. Longer: brokers are slow or a replica "
            "is behind. Runbook: ModstreamCommitsFail.",
            tuple(
                Query(quantile(q, "modstream_commit_duration_seconds", COMMITTED), f"p{round(q * 100)}")
                for q in (0.5, 0.95, 0.99)
            ),
            unit="s",
        ),
        Panel(
            "Commits a second by result",
            "Normal: `committed` alone. `failed` is tried again and read back, so nothing is lost or doubled; many in "
            "a row end the process.",
            (Query(rate("modstream_commit_duration_seconds_count", by="result"), "{{result}}"),),
            unit="reqps",
        ),
        Panel(
            "Producers rebuilt in 10 minutes",
            "After a commit without an answer its producer is built anew. Normal: 0; some while a broker restarts. "
            "For ever: look at the brokers' transaction coordinator. Runbook: ModstreamCommitsFail.",
            (Query(or_zero(grown("modstream_producer_rebuilds_total")), "rebuilds"),),
        ),
        Panel(
            "Offsets held back by open transactions",
            "Nobody can read what lies behind the first record of a transaction until it ends. Normal: 0, or a few for "
            "moments where uploaders use transactions. Runbook: ModstreamTransactionHangs.",
            (Query(highest("modstream_unstable", by="topic, partition"), "{{topic}} {{partition}}"),),
        ),
        Panel(
            "Age of open transactions",
            "How long the oldest open transaction has held records back. Normal: seconds. Runbook: "
            "ModstreamTransactionHangs.",
            (Query(highest("modstream_transaction_age_seconds", by="topic, partition"), "{{topic}} {{partition}}"),),
            unit="s",
        ),
        Panel(
            "Age of refusals of partitions",
            "How long the brokers have refused to let a partition be read. Normal: 0, or seconds at an election. "
            "Runbook: ModstreamPartitionRefused.",
            (
                Query(
                    highest("modstream_partition_refused_age_seconds", by="topic, partition"), "{{topic}} {{partition}}"
                ),
            ),
            unit="s",
        ),
        Panel(
            "Partitions whose log did not fit the offset, in 10 minutes",
            "Read on as kafka.on_lost_offsets says. Normal: 0; anything else is images that were not judged, or judged "
            "again. Runbook: ModstreamOffsetsLost.",
            (Query(met(grown("modstream_offsets_lost_total", by="cause")), "{{cause}}"),),
        ),
        Panel(
            "Partitions by process",
            "Normal: shared evenly. A process without any is more than there are partitions. If the sum falls, "
            "partitions have no owner. Runbook: ModstreamPartitionUnowned.",
            (Query(total("modstream_partitions", by="instance"), "{{instance}}"),),
            Kind.STACK,
        ),
        Panel(
            "Rebalances in 10 minutes",
            "Normal: one for each start and stop of a process. Without those: a process is too busy for its "
            "heartbeat, or the network drops. Runbook: ModstreamRebalancesOften.",
            (Query(or_zero(grown("modstream_rebalances_total")), "rebalances"),),
        ),
        Panel(
            "Pause of a rebalance",
            "From losing partitions to the first one open again, as a mean since the start. Normal: a few seconds. "
            "Longer: a last commit or reading the progress takes its time.",
            (Query(mean_since_start("modstream_rebalance_pause_seconds"), "mean"),),
            unit="s",
        ),
    ),
)
