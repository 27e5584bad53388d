from collections.abc import Sequence
from dataclasses import replace

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from hypothesis import given, settings
from sqlglot import exp

from service.policy.definitions import Definition
from service.policy.judged import JudgedFrame, JudgedImage
from service.policy.policy import CategoryRule, Policy
from service.policy.taxonomy import CHILD_SAFETY
from service.tools.evaluation.backtest.policy_sql import DIALECTS, SqlDialect, deciding_category, decision, double, sql
from service.tools.evaluation.backtest.policy_sql_errors import LongColumnError
from tests.unit.tools.evaluation.judged_images import EDGES, Decided, batches, differences, policies, stored

TYPES = {"score": pa.float64(), "hint": pa.bool_(), "status": pa.string(), "ambiguous": pa.string()}

CHILD_RULE = CategoryRule(review=0.1, block=0.8)


def policy(**rules: CategoryRule) -> Policy:
    return Policy(name="test", version="1", categories={CHILD_SAFETY: CHILD_RULE} | rules)


def judged(*frames: dict[str, float], hints: frozenset[str] = frozenset()) -> JudgedImage:
    return JudgedImage(tuple(JudgedFrame(scores, frozenset()) for scores in frames), hints, None)


def in_duckdb(rules: Policy, images: Sequence[JudgedImage], *, dialect: SqlDialect = "duckdb") -> list[Decided]:
    """Decide in DuckDB, by the text of a dialect that sqlglot reads and writes for DuckDB."""
    expressions = decision(rules), deciding_category(rules)
    texts = [sqlglot.transpile(sql(each, dialect), read=dialect, write="duckdb")[0] for each in expressions]
    rows = stored(images, {column.name for each in expressions for column in each.find_all(exp.Column)})
    columns = {name: pa.array(values, TYPES[name.partition("_")[0]]) for name, values in rows.items()}
    with duckdb.connect() as connection:
        connection.register("verdicts", pa.table(columns))
        return connection.sql("FROM verdicts").project(", ".join(texts)).fetchall()


@given(batches(rows=300))
@settings(max_examples=25)
def test_duckdb_decides_as_the_service_does(batch: tuple[Policy, list[JudgedImage]]) -> None:
    rules, images = batch
    assert differences(rules, images, in_duckdb(rules, images)) == []


@pytest.mark.parametrize("dialect", DIALECTS)
@given(batch=batches(rows=100))
@settings(max_examples=4)
def test_what_sqlglot_reads_of_a_dialect_decides_as_the_service_does(
    dialect: SqlDialect, batch: tuple[Policy, list[JudgedImage]]
) -> None:
    rules, images = batch
    assert differences(rules, images, in_duckdb(rules, images, dialect=dialect)) == []


def without_greatest(expression: exp.Expr) -> exp.Expr:
    """Write GREATEST as the compiler does: a dialect's reader adds what nulls do in it."""
    return expression.transform(
        lambda node: (
            exp.Anonymous(this="GREATEST", expressions=[node.this, *node.expressions])
            if isinstance(node, exp.Greatest)
            else node
        )
    )


@pytest.mark.parametrize("dialect", DIALECTS)
@given(rules=policies())
@settings(max_examples=4)
def test_every_dialect_is_read_back_as_the_same_expression(dialect: SqlDialect, rules: Policy) -> None:
    for expression in (decision(rules), deciding_category(rules)):
        assert without_greatest(sqlglot.parse_one(sql(expression, dialect), read=dialect)) == expression


@pytest.mark.parametrize("threshold", EDGES)
def test_a_threshold_is_the_same_double_as_in_python(threshold: float) -> None:
    (read,) = duckdb.execute(f"SELECT {sql(double(threshold), 'duckdb')}").fetchone() or ()
    assert (type(read), read.hex()) == (float, abs(threshold).hex() if threshold == 0 else threshold.hex())


@pytest.mark.parametrize("threshold", EDGES)
def test_scores_reach_a_threshold_that_they_equal(threshold: float) -> None:
    rules = policy(weapons=CategoryRule(block=threshold))
    found = in_duckdb(rules, [judged({"weapons": score}) for score in EDGES])
    assert found == [("block", "weapons") if score >= threshold else ("allow", None) for score in EDGES]


def test_a_hint_is_sent_to_review_at_most() -> None:
    rules = policy(weapons=CategoryRule(block=0.5))
    image = judged({"weapons": 0.9}, hints=frozenset({"weapons"}))
    assert in_duckdb(rules, [image]) == [("review", "weapons")]


def test_the_gravest_decision_then_the_margin_then_the_policys_order_decides() -> None:
    rules = policy(
        own=CategoryRule(review=0.25, definition=Definition(means="own")),
        weapons=CategoryRule(review=0.25, block=0.75),
        violence=CategoryRule(review=0.25),
    )
    images = [
        judged({"weapons": 0.75, "violence": 1.0}),
        judged({"weapons": 0.5, "violence": 0.625}),
        judged({"weapons": 0.5, "violence": 0.5, "own": 0.5}),
        judged({"own": 0.5}),
    ]
    assert in_duckdb(rules, images) == [
        ("block", "weapons"),
        ("review", "violence"),
        ("review", "violence"),
        ("review", "own"),
    ]


def ambiguous(*features: str, weapons: float = 0.0) -> JudgedImage:
    return replace(judged({"weapons": weapons}), ambiguous=frozenset(features))


def test_a_feature_that_viewers_may_show_otherwise_counts_as_the_policy_says() -> None:
    rules = policy(weapons=CategoryRule(review=0.5, block=0.9)).model_copy(
        update={"ambiguous": {"default": "review", "truncated": "allow", "opacity": "block"}}
    )
    images = [
        ambiguous("truncated"),
        ambiguous("thumbnail", "truncated"),
        ambiguous("opacity", "thumbnail"),
        ambiguous("of_a_newer_version"),
        ambiguous("thumbnail", weapons=0.5),
        ambiguous("opacity", weapons=0.5),
        ambiguous("opacity", weapons=0.9),
    ]
    found = in_duckdb(rules, images)
    assert found == [
        ("allow", None),
        ("review", None),
        ("block", None),
        ("review", None),
        ("review", "weapons"),
        ("block", None),
        ("block", "weapons"),
    ]
    assert differences(rules, images, found) == []


def test_an_image_that_was_not_judged_is_decided_as_the_policy_says() -> None:
    rules = policy().model_copy(update={"when_not_moderated": "block"})
    images = [judged(), judged({"unknown": 1.0}), judged({}), judged({"alcohol": 0.0})]
    found = in_duckdb(rules, images)
    assert found == [("block", None), ("block", None), ("block", None), ("allow", None)]
    assert differences(rules, images, found) == []


def test_the_highest_frames_that_a_rule_asks_for_decide() -> None:
    rules = policy(weapons=CategoryRule(block=0.5, frames=2))
    images = [
        judged({"weapons": 0.9}, {"weapons": 0.4}),
        judged({"weapons": 0.9}, {"weapons": 0.5}),
        judged({"weapons": 0.9}),
    ]
    assert [decided for decided, _ in in_duckdb(rules, images)] == ["allow", "block", "block"]


def test_a_category_whose_name_ends_in_a_number_is_not_taken_for_a_frame_of_another() -> None:
    own = CategoryRule(review=0.5, definition=Definition(means="two weapons"))
    rules = policy(weapons=CategoryRule(block=0.5, frames=2), weapons_2=own)
    images = [
        judged({"weapons": 0.9, "weapons_2": 0.9}, {"weapons": 0.4, "weapons_2": 0.1}),
        judged({"weapons": 0.9, "weapons_2": 0.1}, {"weapons": 0.6, "weapons_2": 0.1}),
    ]
    assert in_duckdb(rules, images) == [("review", "weapons_2"), ("block", "weapons")]


def test_a_name_that_postgresql_would_cut_off_is_refused() -> None:
    name = "a" * 58
    rules = policy(**{name: CategoryRule(review=0.5, definition=Definition(means="long"))})
    with pytest.raises(LongColumnError, match=name):
        sql(decision(rules), "postgres")
    assert name in sql(decision(rules), "trino")
