"""Row of *Service* about the processes themselves: what runs, what it takes, what it does not say."""

from deploy.grafana.board import Kind, Panel, Query, Row
from deploy.grafana.promql import met, of, rate, total

PROCESSES = Row(
    "Processes",
    (
        Panel(
            "What runs",
            "Normal: one version, engine and model. Two of one kind: an upgrade is under way, or stopped halfway.",
            (Query(f"count by (version, engine, model) ({of('modstream_info')})", "{{version}} {{engine}} {{model}}"),),
            Kind.TABLE,
            width=6,
        ),
        Panel(
            "Memory by process",
            "Normal: flat after an hour. Rising for days: set `engine.max_memory_bytes`, and the process drains and "
            "ends before the machine is short of memory. Decoders and models are processes of their own.",
            (Query(total("process_resident_memory_bytes", by="instance"), "{{instance}}"),),
            unit="bytes",
            width=6,
        ),
        Panel(
            "Cores by process",
            "Normal: under 1: one process's event loop has one core. At 1 for minutes: it is the limit; more "
            "processes.",
            (Query(rate("process_cpu_seconds_total", by="instance"), "{{instance}}"),),
            width=6,
        ),
        Panel(
            "Log lines left out",
            "Under load lines that repeat are left out and counted here. Normal: 0. Their reasons are in the other "
            "panels.",
            (Query(met(rate("modstream_log_dropped_total", by="event")), "{{event}}"),),
            unit="reqps",
            width=6,
        ),
    ),
)
