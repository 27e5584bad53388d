"""*One image*: from an image's id to the trace that says why it waited."""

from deploy.grafana.board import FULL_WIDTH, Board, Kind, Panel, Query, Row, Source, Variable
from deploy.grafana.promql import INSTANCE, JOB, buckets

# The service puts the image's id there, as uploader and verdict know it.
FIND = "messaging.message.id"

HOW_TO = """\
**From an image to its trace**

1. Take the image's id from the uploader, a verdict (`image_id`) or a dead letter.
2. Write it into *Image id* above. The newest trace is the first line; click it, or write its id into *Trace id*.
3. Read the waterfall: the longest bar is why the image waited. `wait`: the window was full. `fetch`: the image \
server. `engine`: a queue in the model. `send`: the commit. A failed span has the reason code in `error.type`.
4. What comes back from a retry topic or is sent back from the dead letters has a trace of its own, with links to the \
earlier attempt and to the uploader's span.

Nothing found? Not kept: the collector keeps errors, review, block and slow ones, and a share of the rest."""

SEVERAL = (
    "Normal: one trace for each time that the event was delivered. More: it was put off or sent back. None: not kept, "
    "or another id."
)


def _found(query: str, source: Source, *, width: int) -> Panel:
    return Panel("Traces of $image", SEVERAL, (Query(query),), Kind.TRACES, width=width, height=9, source=source)


def _waterfall(source: Source) -> Panel:
    advice = "The trace whose id stands above. The longest bar is why the image waited."
    return Panel("Trace $trace", advice, (Query("$trace"),), Kind.TRACE, width=FULL_WIDTH, height=16, source=source)


def _traces(title: str, advice: str, query: str, source: Source) -> Panel:
    return Panel(title, advice, (Query(query),), Kind.TRACES, width=12, source=source)


FAILED = "The newest traces with a failed attempt. Normal: few, with reasons of `image.…`."
FLAGGED = "The newest images that were blocked. Normal: your own share of them."

BY_JAEGER = Row(
    "By Jaeger",
    (
        Panel("How to", "The way from an id to a trace.", kind=Kind.NOTE, text=HOW_TO, width=10, height=9),
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
            "Each dot is one image with its trace; those at the top took longest. No dots: exemplars come by OTLP, "
            "not by a scrape.",
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
    summary="From the id of an image to its trace: where its time went, and what became of it.",
    variables=(JOB, INSTANCE, Variable("image", "Image id"), Variable("trace", "Trace id")),
    rows=(BY_JAEGER, FROM_HISTOGRAMS, BY_TEMPO),
    sources=(Source.PROMETHEUS, Source.JAEGER, Source.TEMPO),
    since="now-24h",
)
