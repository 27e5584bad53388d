"""Row of *Service* about the processes themselves: versions, memory, cores, and log lines that were left out."""

from deploy.grafana.board import Kind, Panel, Query, Row
from deploy.grafana.promql import met, of, rate, total

PROCESSES = Row(
    "Processes",
    (
        Panel(
            "What runs",
            "Normal: one version, engine and model. Two of one kind: a rolling upgrade is running, or has stopped.",
            (Query(f"count by (version, engine, model) ({of('modstream_info')})", "{{version}} {{engine}} {{model}}"),),
            Kind.TABLE,
            width=6,
        ),
        Panel(
            "Memory by process",
            "Normal: flat after an hour. Rising for days: set `engine.max_memory_bytes`, so that the process drains "
            "and ends before the machine is short of memory. Decoders and models run in other processes.",
            (Query(total("process_resident_memory_bytes", by="instance"), "{{instance}}"),),
            unit="bytes",
            width=6,
        ),
        Panel(
            "Cores by process",
            "Normal: under 1, because the event loop of a process uses one core. At 1 for minutes: the event loop "
            "limits throughput; start more processes.",
            (Query(rate("process_cpu_seconds_total", by="instance"), "{{instance}}"),),
            width=6,
        ),
        Panel(
            "Log lines left out",
            "Lines about records beyond `telemetry.log_limit_per_s` are counted here and not written. Normal: 0. The "
            "other panels show their causes.",
            (Query(met(rate("modstream_log_dropped_total", by="event")), "{{event}}"),),
            unit="reqps",
            width=6,
        ),
    ),
)
