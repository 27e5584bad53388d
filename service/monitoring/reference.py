"""docs/metrics.md: `python -m service.monitoring.reference` prints it; the tests compare."""

import sys
from collections.abc import Mapping
from typing import get_args

from service.core.ambiguity import FEATURES
from service.telemetry import labels
from service.telemetry.aggregation import Declaration
from service.telemetry.instruments import declarations

_INTRODUCTION = """# Metrics

<!-- Written by `python -m service.monitoring.reference`; the tests compare. Change service/telemetry instead. -->

Prometheus finds them at `http://<monitoring.host>:<monitoring.port>/metrics`; a collector gets them by OTLP/HTTP every
`telemetry.metrics_interval_s` when `telemetry.otlp_endpoint` is set. Both may be on at once.
[operate.md](operate.md#health-and-metrics) explains lag and health.

- No label holds an id, a host or a text of an event. Their values come from the settings and the policies, from the
  reason codes of [operate.md](operate.md#dead-letters), and from the assigned partitions; tenants that
  `monitoring.tenants` does not name are `other` together. A counter has 2,000 series at most; later ones are in
  one series with the label `otel_metric_overflow`. The labels of histograms have fixed sets of values.
- A series appears with its first value. Those of counters whose labels are known beforehand start at 0, so that
  `increase()` sees the first event; `modstream_engine_label_mass` and `modstream_engine_tokens` need a language model,
  `modstream_gpu_*` a GPU of NVIDIA, `modstream_machine_price` the setting of that name.
- Exemplars lead from a bucket of a histogram to a trace. They are sent by OTLP only; a scrape in the text form
  has none. `modstream_stage_duration_seconds` has them for the records that are traced.
- The endpoint also has `process_*` and `python_*` of the serving process, without its decoders and vLLM's processes;
  and vLLM's own `vllm:*` when the engine runs in this process (`engine.kind: vllm`).

This query computes the measured cost of 1,000 images:

    sum by (currency) (modstream_machine_price)
      / on () group_left () (3.6 * sum(rate(modstream_records_total{outcome="judged"}[1h])))
"""

_TITLES = {"counter": "Counters", "histogram": "Histograms", "gauge": "Gauges"}

_FIXED: Mapping[str, str] = {
    labels.OUTCOME: "judged, dead_lettered, put_off",
    labels.DECISION: "allow, review, block",
    labels.STATUS: "moderated, not_moderated",
    labels.SCHEME: "http, https, s3, file, inline",
    labels.STAGE: "wait, fetch, decode, engine, decide, explain",
    labels.RESULT: "committed, failed",
    labels.BOUND: "records, slots, bytes, images, span",
    labels.MECHANISM: ", ".join(labels.MECHANISMS),
    labels.STATE: "running, waiting",
    labels.FEATURE: ", ".join(FEATURES),
    labels.LIVE: "allow, review, block",
    labels.AGREES: "yes, no",
    labels.PART: ", ".join(get_args(labels.ShadowPart)),
}
"""What labels of a fixed set hold; the values of `kind` are listed with its instrument."""

_FIXED_THERE: Mapping[tuple[str, str], str] = {
    ("modstream.first_pass.images", labels.OUTCOME): ", ".join(get_args(labels.PassOutcome)),
    ("modstream.first_pass.duration", labels.KIND): ", ".join(get_args(labels.PassKind)),
}
"""What labels of one instrument hold that have other values elsewhere."""


def reference_markdown() -> str:
    """Return the text of docs/metrics.md."""
    return _INTRODUCTION + "".join(_section(kind) for kind in _TITLES)


def _section(kind: str) -> str:
    rows = "".join(_row(declaration) for declaration in declarations() if declaration.kind == kind)
    head = "| Prometheus | labels | description | OpenTelemetry |\n|---|---|---|---|\n"
    return f"\n## {_TITLES[kind]}\n{_NOTES.get(kind, '')}\n{head}{rows}"


_NOTES = {"histogram": "\nEach has `_bucket`, `_sum` and `_count`.\n"}


def _row(declaration: Declaration) -> str:
    labels = ", ".join(_label(declaration, name) for name in declaration.attributes) or "–"
    description = declaration.description
    if declaration.boundaries:
        description += f". Buckets up to {', '.join(f'{bound:g}' for bound in declaration.boundaries)}"
    names = f"`{declaration.name}` in `{declaration.unit}`"
    return f"| `{declaration.prometheus_name}` | {labels} | {description} | {names} |\n"


def _label(declaration: Declaration, name: str) -> str:
    values = _FIXED_THERE.get((declaration.name, name)) or _FIXED.get(name)
    return f"`{name}` ({values})" if values else f"`{name}`"


if __name__ == "__main__":
    sys.stdout.write(reference_markdown())
