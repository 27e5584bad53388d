"""*One image*: from an image's id to the trace that says why it waited."""

from deploy.grafana.board import FULL_WIDTH, Board, Kind, Panel, Query, Row, Source, Variable
from deploy.grafana.promql import INSTANCE, JOB, buckets

# The service puts the image's id there, as uploader and verdict know it.
FIND = "messaging.message.id"

HOW_TO = """\
**From an image to its trace**

1. Take the image's id from the uploader, a verdict (`image_id`), a dead letter or a log line (`event_id`).
2. Write it into *Image id* above. The newest trace is the first line; click it.
3. Read the waterfall: `wait` long: the window was full. `fetch` long: the image server. `engine` long: a queue in the \
model. A gap before `send`: the commit. A failed span has the reason code in `error.type`.
4. A retry, a dead letter and a re-drive are linked, not nested: follow *References* in the span.

Nothing found? Not sampled: the collector keeps errors, review, block and slow ones, and a share of the rest."""


def _traces(title: str, advice: str, query: str, *, source: Source = Source.TEMPO, width: int = 12) -> Panel:
    return Panel(title, advice, (Query(query),), Kind.TRACES, width=width, source=source)


FOUND = Row(
    "By Tempo",
    (
        Panel("How to", "The way from an id to a trace.", kind=Kind.NOTE, text=HOW_TO, width=10, height=9),
        Panel(
            "Traces of $image",
            "Normal: one trace for each time that the event was read. More: it was retried or re-driven. "
            "None: not sampled, or another id.",
            (Query(f'{{ span.{FIND} = "$image" }}'),),
            Kind.TRACES,
            width=14,
            height=9,
            source=Source.TEMPO,
        ),
        Panel(
            "Trace $trace",
            "The waterfall of the trace whose id stands above. The longest bar is why the image waited.",
            (Query("$trace"),),
            Kind.TRACE,
            width=FULL_WIDTH,
            height=16,
            source=Source.TEMPO,
        ),
    ),
)

NOTABLE = Row(
    "Traces worth a look",
    (
        _traces(
            "Failed",
            "The newest traces with an error. Normal: few, with reasons of `image.…`.",
            '{ resource.service.name = "modstream" && status = error }',
        ),
        _traces(
            "Slow",
            "Records that took more than 10 s from receipt to outcome. Normal: none without lag.",
            '{ resource.service.name = "modstream" && kind = consumer && duration > 10s }',
        ),
        Panel(
            "Time in the engine: click a dot",
            "Each dot is one image with its trace; those at the top took longest. No dots: exemplars come by OTLP, "
            "not by a scrape.",
            (Query(buckets("modstream_stage_duration_seconds", 'stage="engine"'), "{{le}}"),),
            Kind.HEATMAP,
            unit="s",
            width=FULL_WIDTH,
        ),
    ),
)

BY_JAEGER = Row(
    "By Jaeger",
    (
        Panel(
            "Traces of $image",
            "As above, for those who keep traces in Jaeger.",
            (Query(f"{FIND}=$image"),),
            Kind.TRACES,
            width=FULL_WIDTH,
            source=Source.JAEGER,
        ),
        Panel(
            "Trace $trace",
            "As above, for those who keep traces in Jaeger.",
            (Query("$trace"),),
            Kind.TRACE,
            width=FULL_WIDTH,
            height=16,
            source=Source.JAEGER,
        ),
    ),
    folded=True,
)

IMAGE = Board(
    uid="modstream-image",
    title="modstream: One image",
    summary="From the id of an image to its trace: where its time went, and what became of it.",
    variables=(JOB, INSTANCE, Variable("image", "Image id"), Variable("trace", "Trace id")),
    rows=(FOUND, NOTABLE, BY_JAEGER),
    sources=(Source.PROMETHEUS, Source.TEMPO, Source.JAEGER),
    since="now-24h",
)
