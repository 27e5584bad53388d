"""PostgreSQL decides as the service does: another reader of the expression than the one that tests use elsewhere."""

import csv
import io
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from sqlglot import exp

from service.policy.judged import JudgedImage
from service.policy.policy import CategoryRule, Policy
from service.policy.taxonomy import CHILD_SAFETY
from service.tools.evaluation.backtest.policy_sql import deciding_category, decision, sql
from testing.postgres import Postgres, postgres
from tests.unit.tools.evaluation.judged_images import EDGES, Decided, batches, differences, images, stored

pytestmark = pytest.mark.tool("postgresql")

TYPES = {"score": "double precision", "hint": "boolean", "status": "text", "ambiguous": "text"}


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


def decided(server: Postgres, rules: Policy, images: Sequence[JudgedImage]) -> list[Decided]:
    expressions = decision(rules), deciding_category(rules)
    columns = stored(images, sorted({column.name for each in expressions for column in each.find_all(exp.Column)}))
    data = io.StringIO()
    rows = zip(range(len(images)), *columns.values(), strict=True)
    csv.writer(data, lineterminator="\n").writerows(rows)
    types = ", ".join(f'"{name}" {TYPES[name.partition("_")[0]]}' for name in columns)
    texts = ", ".join(sql(each, "postgres") for each in expressions)
    script = (
        f"CREATE TEMP TABLE verdicts (place int, {types});\n"
        f"COPY verdicts FROM STDIN WITH (FORMAT csv);\n{data.getvalue()}\\.\n"
        f"SELECT {texts} FROM verdicts ORDER BY place;\n"
    )
    return [(row[0], row[1] or None) for row in csv.reader(io.StringIO(server.run(script)))]


@given(batch=batches(rows=200))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_postgresql_decides_as_the_service_does(server: Postgres, batch: tuple[Policy, list[JudgedImage]]) -> None:
    rules, judged = batch
    assert differences(rules, judged, decided(server, rules, judged)) == []


@pytest.mark.parametrize("threshold", EDGES)
def test_scores_on_a_threshold_reach_it_in_postgresql(server: Postgres, threshold: float) -> None:
    rules = Policy(
        name="edge",
        version="1",
        categories={CHILD_SAFETY: CategoryRule(review=0.1), "weapons": CategoryRule(block=threshold, frames=2)},
    )
    judged = images(rules, rows=300, seed=1)
    assert differences(rules, judged, decided(server, rules, judged)) == []
