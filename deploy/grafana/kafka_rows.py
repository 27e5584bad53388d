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
            "Normal: `committed` alone. The service reads back the result of a `failed` one and repeats it, so nothing "
            "is lost or published twice. Many failures in a row end the process.",
            (Query(rate("modstream_commit_duration_seconds_count", by="result"), "{{result}}"),),
            unit="reqps",
        ),
        Panel(
            "Producers rebuilt in 10 minutes",
            "After a commit without a response the service replaces the producer. Normal: 0; some while a broker "
            "restarts. Without end: check the brokers' transaction coordinator. Runbook: ModstreamCommitsFail.",
            (Query(or_zero(grown("modstream_producer_rebuilds_total")), "rebuilds"),),
        ),
        Panel(
            "Offsets held back by open transactions",
            "Consumers cannot read beyond the first record of an open transaction. Normal: 0, or a few for moments if "
            "uploaders use transactions. Runbook: ModstreamTransactionHangs.",
            (Query(highest("modstream_unstable", by="topic, partition"), "{{topic}} {{partition}}"),),
        ),
        Panel(
            "Age of open transactions",
            "Time for which the oldest open transaction has held records back. Normal: seconds. Runbook: "
            "ModstreamTransactionHangs.",
            (Query(highest("modstream_transaction_age_seconds", by="topic, partition"), "{{topic}} {{partition}}"),),
            unit="s",
        ),
        Panel(
            "Age of refusals of partitions",
            "Time for which the brokers have denied reading a partition. Normal: 0, or seconds at an election. "
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
            "The service continues as kafka.on_lost_offsets says. Normal: 0. More: images were not judged, or are "
            "judged again. Runbook: ModstreamOffsetsLost.",
            (Query(met(grown("modstream_offsets_lost_total", by="cause")), "{{cause}}"),),
        ),
        Panel(
            "Partitions by process",
            "Normal: about the same for each process. A process has none if there are more processes than partitions. "
            "If the sum falls, partitions have no owner. Runbook: ModstreamPartitionUnowned.",
            (Query(total("modstream_partitions", by="instance"), "{{instance}}"),),
            Kind.STACK,
        ),
        Panel(
            "Rebalances in 10 minutes",
            "Normal: one for each start and stop of a process. More: a process is too busy to send heartbeats, or the "
            "network fails. Runbook: ModstreamRebalancesOften.",
            (Query(or_zero(grown("modstream_rebalances_total")), "rebalances"),),
        ),
        Panel(
            "Pause of a rebalance",
            "Mean time since the start from the revocation of partitions to the first partition that is open again. "
            "Normal: a few seconds. Longer: the last commit, or reading the progress, is slow.",
            (Query(mean_since_start("modstream_rebalance_pause_seconds"), "mean"),),
            unit="s",
        ),
    ),
)
