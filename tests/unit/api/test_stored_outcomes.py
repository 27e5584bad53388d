import json
from typing import Any

import pytest

from schemas.example_files import read_examples
from schemas.registry import TAGS_V1, VERDICT_V1
from service.api.judging.stored_outcomes import StoredOutcomes
from service.api.models import ErrorDetail

VERDICT = next(iter(read_examples(VERDICT_V1).values()))
TAGS = next(iter(read_examples(TAGS_V1).values()))
FAILED = ErrorDetail(message="no", type="dead_letter", code="image.corrupt").model_dump_json().encode()


def verdict(image_id: str = "42", tenant: str = "shop", **fields: Any) -> bytes:
    return json.dumps(VERDICT | {"image_id": image_id, "tenant": tenant} | fields).encode()


def tags(image_id: str = "42", tenant: str = "shop") -> bytes:
    return json.dumps(TAGS | {"image_id": image_id, "tenant": tenant}).encode()


@pytest.fixture
def store() -> StoredOutcomes:
    return StoredOutcomes(100, 1_000_000)


def test_an_outcome_is_found_by_its_id_with_its_tags(store: StoredOutcomes) -> None:
    store.keep("42", "verdict", verdict(), tenant="shop")
    store.keep("42", "tags", tags(), tenant="shop")
    found = store.find("42", "shop")
    assert found is not None
    assert found.verdict is not None
    assert found.tags is not None
    assert store.find("43", "shop") is None


def test_another_tenants_outcome_is_not_there(store: StoredOutcomes) -> None:
    store.keep("42", "verdict", verdict(), tenant="shop")
    store.keep("42", "failure", FAILED, tenant="shop")
    assert store.find("42", "other") is None


def test_two_tenants_may_use_the_same_id(store: StoredOutcomes) -> None:
    store.keep("42", "verdict", verdict(decision="block"), tenant="shop")
    store.keep("42", "failure", FAILED, tenant="other")
    mine, other = store.find("42", "shop"), store.find("42", "other")
    assert mine is not None
    assert mine.verdict is not None
    assert other is not None
    assert other.error is not None


def test_no_number_of_another_tenants_outcomes_hides_ones_own() -> None:
    store = StoredOutcomes(10_000, 100_000_000)
    store.keep("42", "verdict", verdict(), tenant="shop")
    for _ in range(1000):
        store.keep("42", "verdict", verdict(tenant="rival"), tenant="rival")
    assert store.find("42", "shop") is not None


def test_the_newest_outcome_counts_whether_verdict_or_failure(store: StoredOutcomes) -> None:
    store.keep("42", "failure", FAILED, tenant="shop")
    store.keep("42", "verdict", verdict(decision="allow"), tenant="shop")
    store.keep("42", "verdict", verdict(decision="block"), tenant="shop")
    found = store.find("42", "shop")
    assert found is not None
    assert found.error is None
    assert found.verdict is not None
    assert found.verdict.decision == "block"


def test_the_number_of_outcomes_is_bounded_and_the_oldest_go_first() -> None:
    store = StoredOutcomes(2, 1_000_000)
    for number in range(3):
        store.keep(str(number), "verdict", verdict(str(number)), tenant="shop")
    assert len(store) == 2
    assert store.find("0", "shop") is None
    assert store.find("2", "shop") is not None


def test_the_bytes_of_outcomes_are_bounded() -> None:
    store = StoredOutcomes(100, 10_000)
    for number in range(100):
        store.keep("42", "verdict", b"x" * 1000, tenant="shop")
        assert store.bytes <= 10_000, number
    assert len(store) == 6
    store.keep("42", "verdict", b"x" * 20_000, tenant="shop")
    assert (len(store), store.bytes) == (0, 0)


def test_nothing_is_kept_where_that_is_off() -> None:
    store = StoredOutcomes(0, 10_000)
    store.keep("42", "verdict", verdict(), tenant="shop")
    store.expect("42", "shop")
    assert store.find("42", "shop") is None
    assert not store.is_expected("42", "shop")


def test_an_expected_outcome_replaces_an_earlier_one(store: StoredOutcomes) -> None:
    store.keep("42", "verdict", verdict(decision="allow"), tenant="shop")
    store.expect("42", "shop")
    assert store.find("42", "shop") is None
    assert store.is_expected("42", "shop")
    assert not store.is_expected("42", "other")

    store.keep("42", "verdict", verdict(decision="block"), tenant="shop")
    found = store.find("42", "shop")
    assert found is not None
    assert found.verdict is not None
    assert found.verdict.decision == "block"
    assert not store.is_expected("42", "shop")


def test_what_was_not_published_is_not_expected(store: StoredOutcomes) -> None:
    store.keep("42", "verdict", verdict(), tenant="shop")
    store.expect("42", "shop")
    store.expect_no_more("42", "shop")
    assert store.find("42", "shop") is not None


def test_the_number_of_expected_outcomes_is_bounded() -> None:
    store = StoredOutcomes(2, 1_000_000)
    for number in range(3):
        store.expect(str(number), "shop")
    assert [store.is_expected(str(number), "shop") for number in range(3)] == [False, True, True]


def test_a_message_of_another_version_is_left_out(store: StoredOutcomes) -> None:
    store.keep("42", "verdict", verdict(), tenant="shop")
    store.keep("42", "verdict", b'{"image_id": "42", "tenant": "shop"}', tenant="shop")
    assert store.find("42", "shop") is not None
