import pytest

from service.tools.evaluation.images.thumbnails import Thumbnail
from service.tools.evaluation.quality.outcomes import judged_examples
from service.tools.evaluation.quality.report import Shown, evaluation_report
from service.tools.evaluation.quality.worst_errors import worst_errors
from service.tools.evaluation.report.page import html_of
from tests.unit.tools.evaluation.predicted import dataset, example, prediction, seen
from tests.unit.tools.evaluation.test_evaluation import POLICY, SAFE, evaluated

HOSTILE = "<script>alert(1)</script>"

PREDICTIONS = [
    prediction(example("near", "weapons"), SAFE | {"weapons": 0.45}),
    prediction(example("far", "weapons", tenant=HOSTILE), SAFE | {"weapons": 0.05}),
    prediction(example("alarm", columns={"country": HOSTILE}), SAFE | {"weapons": 0.95}),
    prediction(example("doubt", columns={"country": "DE"}), SAFE | {"weapons": 0.6}),
    prediction(example(HOSTILE, tags={"colours": frozenset({"red"})}), SAFE, tags=seen({"colours": ["red"]})),
    prediction(example("broken")),
]


def test_the_worst_errors_are_farthest_from_their_labels() -> None:
    judged = judged_examples(PREDICTIONS, lambda _: POLICY)
    examples = dataset(*(each.example for each in PREDICTIONS))
    missed, alarms = (worst_errors(examples, judged, kind) for kind in ("missed", "false_alarm"))
    assert [each.judged.example.image_id for each in missed] == ["far", "near"]
    assert [each.distance for each in missed] == pytest.approx([0.95, 0.55])
    assert [each.judged.example.image_id for each in alarms] == ["alarm", "doubt"]
    assert [each.judged.example.image_id for each in worst_errors(examples, judged, "missed", most=1)] == ["far"]


def page(*, picture: str | None = None) -> str:
    judged = judged_examples(PREDICTIONS, lambda _: POLICY)
    examples = dataset(*(each.example for each in PREDICTIONS))
    missed, alarms = (worst_errors(examples, judged, kind) for kind in ("missed", "false_alarm"))
    pictures = {} if picture is None else {"far": Thumbnail(picture)}
    rows = [["", "onnx", HOSTILE], ["category accuracy", "0.5", "0.6"]]
    return html_of(evaluation_report(evaluated(PREDICTIONS), Shown(missed, alarms, pictures, rows)))


def test_the_report_has_every_section_and_escapes_what_datasets_say() -> None:
    html = page()
    for title in (
        "Categories",
        "Accuracy, time and cost",
        "Curves and calibration",
        "Confusion",
        "Tags",
        "Slices",
        "Worst misses",
    ):
        assert title in html
    assert HOSTILE not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "Of 5 labelled images 20.0% were judged exactly as labelled" in html
    assert "Not judged (image.corrupt): 1" in html


def test_pictures_are_embedded_only_if_they_were_asked_for() -> None:
    picture = "data:image/webp;base64,UklGRg=="
    assert picture in page(picture=picture)
    assert "data:image/webp" not in page()


def test_a_report_of_nothing_judged_says_so() -> None:
    nothing = [prediction(example("broken", "weapons"))]
    html = html_of(evaluation_report(evaluated(nothing), Shown((), (), {}, ())))
    assert "Of 1 labelled images none could be compared with its labels" in html
    assert "no curves" in html


def test_the_same_figures_give_the_same_page() -> None:
    assert page() == page()
