"""What the reader chooses at the top of a dashboard."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import VariableModel, VariableOption, VariableRefresh

from deploy.grafana.board import Board, Source, Variable
from deploy.grafana.targets import data_source

ALL = VariableOption(selected=True, text=["All"], value=["$__all"])


def variables(board: Board) -> Iterator[Builder[VariableModel]]:
    """Yield the data sources first, as all else is asked of them."""
    for source in board.sources:
        yield dashboard.DatasourceVariable(source.value).label(source.value.title()).type(source.value)
    for variable in board.variables:
        yield _variable(variable)


def _variable(variable: Variable) -> Builder[VariableModel]:
    if variable.query:
        return (
            dashboard.QueryVariable(variable.name)
            .label(variable.label)
            .query(variable.query)
            .datasource(data_source(Source.PROMETHEUS))
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .multi(True)
            .include_all(True)
            .all_value(".*")
            .current(ALL)
        )
    if variable.options:
        first = VariableOption(selected=True, text=variable.options[0], value=variable.options[0])
        return (
            dashboard.CustomVariable(variable.name)
            .label(variable.label)
            .values(",".join(variable.options))
            .current(first)
        )
    return dashboard.TextBoxVariable(variable.name).label(variable.label)
