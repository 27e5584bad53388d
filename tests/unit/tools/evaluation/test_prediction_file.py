from dataclasses import replace
from pathlib import Path

import pytest

from schemas.verdict import FrameScoresV1
from service.tools.evaluation.quality.prediction_file import (
    PredictionFileError,
    PredictionJournal,
    read_predictions,
    write_predictions,
)
from tests.unit.tools.evaluation.predicted import example, key, prediction, seen

WHOLE = prediction(
    example("a", "weapons", "alcohol", tags={"colours": frozenset({"red"})}, labelled=frozenset({"weapons"})),
    {"weapons": 0.9},
    tags=seen({"colours": ["red"]}),
)
BY_URL = prediction(example("b", location="https://cdn.example.com/b.jpg", sha256="cd" * 32), {"weapons": 0.1})
FAILED = prediction(example("c"))


def test_predictions_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    write_predictions(path, [WHOLE, BY_URL, FAILED])
    assert [*read_predictions(path)] == [WHOLE, BY_URL, FAILED]
    assert [each.name for each in tmp_path.iterdir()] == ["predictions.jsonl"]


def test_a_journal_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "predictions.jsonl"
    with PredictionJournal(path) as journal:
        assert journal.stored == {}
        journal.append(replace(WHOLE, key=key("01" * 32)))
    with path.open("ab") as file:
        file.write(path.read_bytes()[:40])  # of a line that was being written when the process was killed
    with PredictionJournal(path) as journal:
        assert [*journal.stored] == [key("01" * 32)]
        journal.append(replace(BY_URL, key=key("02" * 32)))
    assert [each.key for each in read_predictions(path)] == [key("01" * 32), key("02" * 32)]


def test_the_first_line_may_be_the_one_that_was_not_completed(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    path.write_bytes(b'{"version":1,"predi')
    with PredictionJournal(path) as journal:
        assert journal.stored == {}
    assert path.read_bytes() == b""


def test_an_image_without_a_verdict_is_judged_again(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    write_predictions(path, [replace(FAILED, key=key())])
    with PredictionJournal(path) as journal:
        assert journal.stored == {}


@pytest.mark.parametrize("content", [b"\x89PNG no line end", b"image,labels\na.jpg,none\n", b'{"version": 2}\n'])
def test_a_file_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(content)
    with pytest.raises(PredictionFileError, match=r"photo\.png, line 1: this is no"), PredictionJournal(path):
        pass
    assert path.read_bytes() == content


def test_two_processes_do_not_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    with (
        PredictionJournal(path),
        pytest.raises(PredictionFileError, match="another process writes to it"),
        PredictionJournal(path),
    ):
        pass


def test_a_verdict_whose_frames_differ_in_categories_is_named(tmp_path: Path) -> None:
    assert WHOLE.verdict is not None
    frames = (FrameScoresV1(scores={"weapons": 0.9}), FrameScoresV1(scores={"alcohol": 0.9}))
    path = tmp_path / "predictions.jsonl"
    write_predictions(path, [WHOLE, replace(WHOLE, verdict=WHOLE.verdict.model_copy(update={"frames": frames}))])
    with pytest.raises(PredictionFileError, match=r"predictions\.jsonl, line 2: .*differ in alcohol, weapons"):
        [*read_predictions(path)]


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "predictions.jsonl"
    write_predictions(path, [WHOLE])
    path.write_bytes(path.read_bytes() + b'{"version":1,"prediction":{"example":{}}}\n')
    with pytest.raises(PredictionFileError, match=r"line 2: .*prediction\.example\.image_id"):
        list(read_predictions(path))


def test_what_is_no_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PredictionFileError, match="the file cannot be read"):
        list(read_predictions(tmp_path))
