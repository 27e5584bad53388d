"""The queries of a panel, in the words of its data source."""

from collections.abc import Iterator
from dataclasses import dataclass
from string import ascii_uppercase

from grafana_foundation_sdk.builders import prometheus, tempo
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.grafana.board import Kind, Panel, Query, Source

# As many as fit a panel.
TRACES_SHOWN = 20
SERVICE_NAME = "modstream"


def data_source(source: Source) -> DataSourceRef:
    """Return the data source that the reader chose for this kind."""
    return DataSourceRef(type_val=source.value, uid=f"${{{source.value}}}")


def targets(panel: Panel) -> Iterator[Builder[Dataquery]]:
    """Yield the queries of a panel, named A, B, C as Grafana does."""
    for name, query in zip(ascii_uppercase, panel.queries, strict=False):
        if panel.source is Source.TEMPO:
            yield _tempo(name, query)
        elif panel.source is Source.JAEGER:
            yield _Jaeger(JaegerQuery(name, query.expr, is_search=panel.kind is Kind.TRACES))
        else:
            yield _prometheus(name, query, panel.kind)


def _prometheus(name: str, query: Query, kind: Kind) -> prometheus.Dataquery:
    asked = prometheus.Dataquery().ref_id(name).expr(query.expr).datasource(data_source(Source.PROMETHEUS))
    if query.legend:
        asked.legend_format(query.legend)
    if kind in {Kind.NUMBER, Kind.TABLE}:
        asked.instant()
    else:
        asked.range().exemplar("_bucket" in query.expr)
    formats = {Kind.HEATMAP: PromQueryFormat.HEATMAP, Kind.TABLE: PromQueryFormat.TABLE}
    return asked.format(formats.get(kind, PromQueryFormat.TIME_SERIES))


def _tempo(name: str, query: Query) -> tempo.TempoQuery:
    return (
        tempo.TempoQuery()
        .ref_id(name)
        .query_type("traceql")
        .query(query.expr)
        .limit(TRACES_SHOWN)
        .filters([])
        .datasource(data_source(Source.TEMPO))
    )


@dataclass(frozen=True, slots=True)
class JaegerQuery(Dataquery):
    """A question to Jaeger, which Grafana's SDK does not know: a search by tag, or a trace by its id."""

    name: str
    text: str
    is_search: bool

    def to_json(self) -> dict[str, object]:
        """Return it as Grafana's Jaeger data source reads it."""
        common = {"refId": self.name, "datasource": data_source(Source.JAEGER)}
        if not self.is_search:
            return common | {"query": self.text}
        return common | {"queryType": "search", "service": SERVICE_NAME, "tags": self.text, "limit": TRACES_SHOWN}


class _Jaeger(Builder[JaegerQuery]):
    """What the SDK takes as a query."""

    def __init__(self, query: JaegerQuery) -> None:
        self._query = query

    def build(self) -> JaegerQuery:
        """Return the query."""
        return self._query
