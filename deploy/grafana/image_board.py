"""The dashboard *One image*: from an image's id to its trace, which shows why it waited."""

from deploy.grafana.board import FULL_WIDTH, Board, Kind, Panel, Query, Row, Source, Variable
from deploy.grafana.promql import INSTANCE, JOB, buckets

# The service sets this attribute to the image's id, as in the upload and the verdict.
FIND = "messaging.message.id"

HOW_TO = """\
**From an image to its trace**

1. Take the image's id from the uploader, a verdict (`image_id`) or a dead letter.
2. Enter it in *Image id* above. The first line is the newest trace. Click it, or enter its id in *Trace id*.
3. Read the waterfall: the longest span shows why the image waited. `wait`: the window was full. `fetch`: the image \
host was slow. `engine`: the model had a queue. `send`: the commit was slow. A failed span has the reason code in \
`error.type`.
4. A record that comes back from a retry topic or from the dead letters has a trace of its own, with links to the \
earlier attempt and to the uploader's span.

If nothing is found, the trace was not kept: the collector keeps traces with errors, `review`, `block` and slow ones, \
and a share of the others."""

SEVERAL = (
    "Normal: one trace for each delivery of the event. More: it was deferred or sent back. None: the trace was not "
    "kept, or the id differs."
)


def _found(query: str, source: Source, *, width: int) -> Panel:
    return Panel("Traces of $image", SEVERAL, (Query(query),), Kind.TRACES, width=width, height=9, source=source)


def _waterfall(source: Source) -> Panel:
    advice = "The trace with the id in *Trace id*. The longest span shows why the image waited."
    return Panel("Trace $trace", advice, (Query("$trace"),), Kind.TRACE, width=FULL_WIDTH, height=16, source=source)


def _traces(title: str, advice: str, query: str, source: Source) -> Panel:
    return Panel(title, advice, (Query(query),), Kind.TRACES, width=12, source=source)


FAILED = "The newest traces with a failed attempt. Normal: few, with reasons of `image.…`."
FLAGGED = "The newest images that were blocked. Normal: as many as last week."

BY_JAEGER = Row(
    "By Jaeger",
    (
        Panel("How to", "How to find the trace of an image.", kind=Kind.NOTE, text=HOW_TO, width=10, height=9),
        _found(f"{FIND}=$image", Source.JAEGER, width=14),
        _waterfall(Source.JAEGER),
        _traces("Failed", FAILED, "error=true", Source.JAEGER),
        _traces("Blocked", FLAGGED, "modstream.decision=block", Source.JAEGER),
    ),
)

FROM_HISTOGRAMS = Row(
    "From a histogram",
    (
        Panel(
            "Time in the engine: click a dot",
            "Each dot is one image: click it to open its trace. Those at the top took longest. Dots (exemplars) need "
            "OTLP; a scrape has none.",
            (Query(buckets("modstream_stage_duration_seconds", 'stage="engine"'), "{{le}}"),),
            Kind.HEATMAP,
            unit="s",
            width=FULL_WIDTH,
        ),
    ),
)

BY_TEMPO = Row(
    "By Tempo",
    (
        _found(f'{{ span.{FIND} = "$image" }}', Source.TEMPO, width=FULL_WIDTH),
        _waterfall(Source.TEMPO),
        _traces("Failed", FAILED, '{ resource.service.name = "modstream" && status = error }', Source.TEMPO),
        _traces("Blocked", FLAGGED, '{ span.modstream.decision = "block" }', Source.TEMPO),
    ),
    folded=True,
)

IMAGE = Board(
    uid="modstream-image",
    title="modstream: One image",
    summary="From the id of an image to its trace: the time of each stage, and the outcome.",
    variables=(JOB, INSTANCE, Variable("image", "Image id"), Variable("trace", "Trace id")),
    rows=(BY_JAEGER, FROM_HISTOGRAMS, BY_TEMPO),
    sources=(Source.PROMETHEUS, Source.JAEGER, Source.TEMPO),
    since="now-24h",
)
