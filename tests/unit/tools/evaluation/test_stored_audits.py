"""Audits in an archive: rows, what is refused, and what is read back for the estimate."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from service.tools.evaluation.sampling.errors import LabelsInvalidError
from service.tools.evaluation.sampling.stored_misses import flagged_categories, read_labels, read_misses
from service.tools.evaluation.stored.audit_columns import audit_row_of
from service.tools.evaluation.stored.columns import NotAVerdictError
from service.tools.evaluation.stored.stored_audits import NoAuditsError
from tests.unit.tools.evaluation.archives import archive, rows
from tests.unit.tools.evaluation.outcome_log import TOPICS, OutcomeLog, an_audit
from tests.unit.tools.evaluation.stored import a_verdict


async def test_an_audit_is_a_row_with_its_scores_and_one_that_was_left_out_a_row_without(tmp_path: Path) -> None:
    log = OutcomeLog(audits=True)
    log.publish_audits(range(20), flagged=1, left_out=1)
    (flushed,) = await archive(log, tmp_path)
    assert flushed.counts == {"verdicts": 20, "audits": 2}
    found = rows(tmp_path, "SELECT image_id, share, left_out, decision, score_weapons IS NULL FROM audits ORDER BY ALL")
    assert found == [("image-0", 0.1, None, "review", False), ("image-10", 0.1, "no_room", None, True)]


@pytest.mark.parametrize(
    "fault",
    [
        {"share": 0.0},
        {"share": 1e-300},
        {"share": None},
        {"live": None},
        {"image_id": ""},
        {"left_out": "no_room"},
        {"verdict": None},
        {"moderated_at": "yesterday"},
        {"verdict": {"decision": "allow"}},
    ],
)
def test_what_is_no_audit_is_no_row(fault: dict[str, Any]) -> None:
    assert audit_row_of(an_audit(1))["share"] == 0.1
    with pytest.raises(NotAVerdictError):
        audit_row_of(an_audit(1) | fault)


async def test_chosen_images_are_read_with_labels_and_what_the_policy_decided_live(tmp_path: Path) -> None:
    log = OutcomeLog(audits=True)
    log.publish_audits(range(100), flagged=2, left_out=1)
    flags = [{"category": "violence", "decision": "block"}, {"category": "weapons", "decision": "allow"}]
    log.publish(TOPICS.verdicts, 1, a_verdict(50, decision="block", reasons=flags))
    log.publish(TOPICS.verdicts, 1, a_verdict(1_000, decision="block", reasons=flags))
    await archive(log, tmp_path)
    labels = {("shop", "image-0"): frozenset({"weapons"}), ("shop", "image-20"): frozenset({"weapons"})}
    stored = read_misses(str(tmp_path), labels=labels)
    by_id = {image.image_id: image for image in stored.chosen}
    assert len(by_id) == 10
    assert (by_id["image-0"].found, by_id["image-0"].is_flagged) == (frozenset({"weapons"}), True)
    assert by_id["image-0"].labels == frozenset({"weapons"})
    assert (by_id["image-20"].found, by_id["image-20"].labels) == (None, None), "it was left out"
    assert by_id["image-30"].found == frozenset()
    (policy,) = stored.live
    # Image 1000 was judged after the last chosen image, and so were the images behind 90.
    assert stored.live[policy].allowed == 91
    assert stored.live[policy].flagged == {None: 1, "violence": 1}


async def test_a_record_that_came_twice_counts_once_and_an_audit_before_that_it_was_left_out(tmp_path: Path) -> None:
    log = OutcomeLog(audits=True)
    log.publish_audits([0])
    log.publish(TOPICS.audit, 0, an_audit(0, left_out="stopped"))
    log.publish(TOPICS.audit, 0, an_audit(0, flagged=True) | {"source": a_verdict(7)["source"]})
    await archive(log, tmp_path)
    found = read_misses(str(tmp_path)).chosen
    assert {image.found for image in found} == {frozenset(), frozenset({"weapons"})}
    assert len(found) == 2


async def test_audits_are_read_of_a_time_and_none_is_an_error(tmp_path: Path) -> None:
    log = OutcomeLog(audits=True)
    log.publish_audits(range(100))
    await archive(log, tmp_path)
    since, until = (datetime(2026, 3, 1, 12, minute, tzinfo=UTC) for minute in (20, 50))
    found = read_misses(str(tmp_path), since=since, until=until).chosen
    assert sorted(image.image_id for image in found) == ["image-20", "image-30", "image-40"]
    with pytest.raises(NoAuditsError, match=r"policy\.audit_share"):
        read_misses(str(tmp_path), since=datetime(2027, 1, 1, tzinfo=UTC))


def test_labels_are_read_with_what_is_wrong_with_them(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("tenant,image_id,found,labels\nshop,1,,weapons violence\nshop,2,,none\nshop,3,,skip\nshop,4,,\n")
    assert read_labels(path) == {("shop", "1"): {"weapons", "violence"}, ("shop", "2"): frozenset()}
    path.write_text("tenant,image_id,labels\nshop,1,wepons\n")
    with pytest.raises(LabelsInvalidError, match=r"labels\.csv:2: .*did you mean weapons"):
        read_labels(path)
    path.write_text("tenant,labels\n")
    with pytest.raises(LabelsInvalidError, match="image_id are missing"):
        read_labels(path)


@pytest.mark.parametrize("reasons", [None, "", "{", "{}", "[1]", '[{"category": 1, "decision": "block"}]'])
def test_reasons_that_are_none_flag_nothing(reasons: str | None) -> None:
    assert flagged_categories(reasons) == frozenset()
