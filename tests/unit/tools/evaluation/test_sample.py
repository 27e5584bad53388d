from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from service.tools.evaluation.sampling.allocation import ALLOWED_SHARE
from service.tools.evaluation.sampling.errors import SampleImpossibleError
from service.tools.evaluation.sampling.label_sheet import SampledImage
from service.tools.evaluation.sampling.sample import Dimension, Population, SampleDesign
from service.tools.evaluation.stored.columns import verdict_schema
from testing.stored_archive import SyntheticArchive, SyntheticCategory, synthetic_archive

CATEGORIES = {"weapons": SyntheticCategory(0.05, 4.0), "violence": SyntheticCategory(0.02, 4.0)}


@pytest.fixture(scope="module")
def archive() -> SyntheticArchive:
    return synthetic_archive(0, 3000, CATEGORIES)


@pytest.fixture
def stored(archive: SyntheticArchive) -> Iterator[duckdb.DuckDBPyConnection]:
    with closing(archive.connection()) as connection:
        yield connection


def connection_of(*rows: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.register("verdicts", pa.Table.from_pylist(list(rows), schema=verdict_schema(["rival_brand"])))
    return connection


def drawn_from(
    connection: duckdb.DuckDBPyConnection,
    *by: Dimension,
    size: int = 500,
    seed: int = 0,
    allowed_share: float = ALLOWED_SHARE,
) -> list[SampledImage]:
    design = SampleDesign(frozenset(by)) if by else SampleDesign()
    return Population(connection, design).draw(size=size, seed=seed, allowed_share=allowed_share)


def row(image_id: str, **columns: object) -> dict[str, Any]:
    return {"image_id": image_id, "tenant": "shop", "moderated_at": 0, "decision": "allow", "reasons": "[]", **columns}


def test_a_seed_draws_the_same_images_in_whatever_order_the_archive_is_read(archive: SyntheticArchive) -> None:
    with closing(archive.connection()) as connection, closing(duckdb.connect()) as other:
        other.register("verdicts", archive.verdicts.sort_by([("score_weapons", "descending")]))
        assert drawn_from(connection, size=100) == drawn_from(other, size=100)


def test_another_seed_draws_others(stored: duckdb.DuckDBPyConnection) -> None:
    first, second = ({each.image_id for each in drawn_from(stored, size=100, seed=seed)} for seed in (1, 2))
    assert first != second


def test_every_row_knows_the_probability_with_which_it_was_drawn(stored: duckdb.DuckDBPyConnection) -> None:
    drawn = drawn_from(stored, size=200)
    assert len(drawn) == 200
    strata = Counter(each.stratum for each in drawn)
    assert {each.stratum: each.stratum_rows for each in drawn} == strata
    assert sum({each.stratum: each.stratum_images for each in drawn}.values()) == 3000
    assert sum(1 / each.inclusion_probability for each in drawn) == pytest.approx(3000)


def test_images_of_a_stratum_are_drawn_equally_often(stored: duckdb.DuckDBPyConnection) -> None:
    counts: Counter[str] = Counter()
    population = Population(stored, SampleDesign(by=frozenset()))
    for seed in range(30):
        counts.update(each.image_id for each in population.draw(size=1500, seed=seed))
    allowed = [count for count in counts.values() if count < 30]
    assert max(allowed) <= 30 * 0.95
    assert len(counts) == 3000


def test_the_order_of_rows_says_nothing_about_the_images(stored: duckdb.DuckDBPyConnection) -> None:
    drawn = drawn_from(stored, size=400)
    allowed = [each.decision == "allow" for each in drawn]
    assert [each.row for each in drawn] == list(range(1, 401))
    assert abs(sum(allowed[:200]) - sum(allowed[200:])) < 60


def test_an_image_counts_once_with_its_newest_verdict() -> None:
    older = row("a", decision="review", deciding_category="weapons", score_weapons=0.9)
    with closing(connection_of(older, row("a", moderated_at=1, score_weapons=0.1))) as connection:
        (only,) = drawn_from(connection)
    assert (only.decision, only.score, only.images) == ("allow", 0.1, 1)
    assert only.moderated_at == "1970-01-01T00:00:00Z"


def test_a_row_names_the_file_and_the_upload_event() -> None:
    stored = row("a", sha256="00ff", source_topic="images.uploaded", source_partition=3, source_offset=17)
    with closing(connection_of(stored, row("b"))) as connection:
        drawn = {each.image_id: each for each in drawn_from(connection)}
    assert (drawn["a"].sha256, drawn["a"].source) == ("00ff", "images.uploaded:3:17")
    assert (drawn["b"].sha256, drawn["b"].source) == ("", "")


def test_equal_ids_of_two_tenants_are_two_images() -> None:
    with closing(connection_of(row("a"), row("a", tenant="chat"))) as connection:
        assert len(drawn_from(connection)) == 2


def test_all_categories_that_flagged_an_image_are_known_and_labels_are_none() -> None:
    reasons = (
        '[{"category": "rival_brand", "decision": "block"}, {"category": "weapons", "decision": "review"},'
        ' {"category": "alcohol", "decision": "allow"}, {"category": null, "decision": "review"}]'
    )
    flagged = row("a", decision="block", deciding_category="rival_brand", score_rival_brand=0.9, reasons=reasons)
    with closing(connection_of(flagged)) as connection:
        (only,) = drawn_from(connection)
    assert (only.category, only.score) == ("rival_brand", 0.9)
    assert only.flagged_categories == {"weapons", "rival_brand"}


def test_an_image_that_no_model_judged_is_a_stratum_of_its_own() -> None:
    with closing(connection_of(row("a", decision="review"), row("b", score_weapons=0.2))) as connection:
        drawn = {each.image_id: each for each in drawn_from(connection)}
    assert (drawn["a"].category, drawn["a"].score, drawn["a"].stratum) == ("", None, "flagged unscored unjudged")
    assert drawn["b"].stratum == "allowed 0.2-0.5 weapons"


def test_strata_are_split_by_what_is_asked_for() -> None:
    with closing(connection_of(row("a", score_weapons=0.1), row("b", tenant="x y", decision="block"))) as connection:
        strata = {each.stratum for each in drawn_from(connection, "tenant", "decision")}
    assert strata == {"allow shop", "block x y"}


def test_without_the_allowed_the_sample_knows_of_how_many_images_it_knows_nothing(
    stored: duckdb.DuckDBPyConnection,
) -> None:
    drawn = drawn_from(stored, size=50, allowed_share=0.0)
    assert {each.decision for each in drawn} == {"review"}
    assert {each.images for each in drawn} == {3000}


@pytest.mark.parametrize("name", ["x' THEN 1 END); DROP TABLE t; --\"", "", "Ä", "2x"])
def test_a_file_cannot_bring_sql_into_queries_by_the_names_of_its_columns(name: str) -> None:
    table = pa.Table.from_pylist([row("a", score_weapons=0.1)], schema=verdict_schema())
    for column, value in ((f"hint_{name}", False), (f"score_{name}", 0.9)):
        table = table.append_column(column, pa.array([value]))
    with closing(duckdb.connect()) as connection:
        connection.register("verdicts", table)
        (only,) = drawn_from(connection)
    assert (only.category, only.score) == ("weapons", 0.1)


def test_an_archive_without_verdicts_is_refused() -> None:
    with closing(connection_of()) as connection, pytest.raises(SampleImpossibleError, match="no verdicts"):
        drawn_from(connection)


def test_an_archive_with_more_tenants_than_the_sample_has_images_is_refused() -> None:
    rows = [row("a", tenant=f"tenant {number}") for number in range(30)]
    with closing(connection_of(*rows)) as connection, pytest.raises(SampleImpossibleError, match="raise --size"):
        drawn_from(connection, "tenant", size=20)


@pytest.mark.parametrize("reasons", ["{", "[1]", "3"])
def test_reasons_that_are_not_those_of_a_verdict_are_an_error(reasons: str) -> None:
    stored = connection_of(row("a", decision="review", reasons=reasons))
    with closing(stored), pytest.raises(SampleImpossibleError, match="reasons"):
        drawn_from(stored)
