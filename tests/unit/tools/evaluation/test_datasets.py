import json
from dataclasses import replace
from pathlib import Path

import pytest

from service.policy.taxonomy import NAMES
from service.tools.evaluation.datasets.dataset import Dataset, DatasetError, DatasetOptions
from service.tools.evaluation.datasets.image_store import ImageStore
from service.tools.evaluation.datasets.label_map import LabelMapError, LabelMapOptionError, read_label_map
from service.tools.evaluation.datasets.reading import read_dataset

CATEGORIES = frozenset(NAMES)
OPTIONS = DatasetOptions(CATEGORIES, {"guns": ("weapons",), "safe": (), "fight": ("weapons", "violence")})
SHA256 = "ab" * 32
STORE = ImageStore(Path("/nonexistent"))
"""None of these datasets holds images itself."""


def folder_with(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"pixels")
    return folder


def csv_of(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text)
    return path


def labels(dataset: Dataset) -> dict[str, set[str]]:
    return {each.image_id: set(each.categories) for each in dataset.examples}


def test_a_folder_has_a_sub_folder_for_each_category(tmp_path: Path) -> None:
    folder_with(tmp_path, "weapons/a.jpg", "weapons/deep/b.png", "none/c.jpg", "guns/d.jpg", "none/notes.txt")
    dataset = read_dataset(tmp_path, OPTIONS, STORE)
    assert labels(dataset) == {
        "guns/d.jpg": {"weapons"},
        "none/c.jpg": set(),
        "weapons/a.jpg": {"weapons"},
        "weapons/deep/b.png": {"weapons"},
    }
    assert [each.name for each in dataset.left_out] == ["none/notes.txt"]


def test_a_dataset_with_too_many_examples_is_refused_at_the_first_row_beyond(tmp_path: Path) -> None:
    path = csv_of(tmp_path, "image,labels\na.jpg,none\nb.jpg,none\nc.jpg,no category\n")
    with pytest.raises(DatasetError, match=r"line 4: it has more than 2 images: draw a sample"):
        read_dataset(path, replace(OPTIONS, max_examples=2), STORE)


def test_folders_above_the_categories_are_splits(tmp_path: Path) -> None:
    folder_with(tmp_path, "train/weapons/a.jpg", "test/none/b.jpg")
    dataset = read_dataset(tmp_path, OPTIONS, STORE)
    assert {each.image_id: each.split for each in dataset.examples} == {
        "train/weapons/a.jpg": "train",
        "test/none/b.jpg": "test",
    }
    assert labels(dataset.part("test")) == {"test/none/b.jpg": set()}
    with pytest.raises(DatasetError, match="no example is of the split 'dev'; splits are: test, train"):
        dataset.part("dev")


def test_a_folder_that_is_no_category_is_named(tmp_path: Path) -> None:
    folder_with(tmp_path, "weapon/a.jpg")
    with pytest.raises(DatasetError, match=r"weapon: the label 'weapon' is no category: map it with --map"):
        read_dataset(tmp_path, OPTIONS, STORE)


def test_an_image_in_no_category_s_folder_is_named(tmp_path: Path) -> None:
    folder_with(tmp_path, "weapons/a.jpg", "z.jpg")
    with pytest.raises(DatasetError, match=r"z\.jpg: the image is in no category's folder"):
        read_dataset(tmp_path, OPTIONS, STORE)


def test_a_csv_file_has_several_labels_an_image_and_further_columns(tmp_path: Path) -> None:
    path = csv_of(
        tmp_path,
        "image,labels,tenant,caption,country,weight,split,labelled,tags.colours\n"
        'a.jpg,weapons; violence,shop,"two, for one",DE,2.5,test,weapons|violence|alcohol,red;blue\n'
        "b.jpg,none,,,FR,,,,\n",
    )
    first, second = read_dataset(path, OPTIONS, STORE).examples
    assert first.location == tmp_path / "a.jpg"
    assert first.categories == {"weapons", "violence"}
    assert first.labelled == frozenset({"weapons", "violence", "alcohol"})
    assert (first.tenant, first.caption, first.weight, first.split) == ("shop", "two, for one", 2.5, "test")
    assert first.columns == {"country": "DE"}
    assert first.tags == {"colours": {"red", "blue"}}
    assert (second.categories, second.labelled, second.tenant, second.tags) == (frozenset(), None, "default", {})


def test_json_lines_have_lists(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    rows = [
        {"image": "a.jpg", "labels": ["weapons"], "tags": {"category": "toys", "colours": ["red", "blue"]}},
        {"image": "b.jpg", "labels": [], "country": "DE", "tags": None},
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    first, second = read_dataset(path, OPTIONS, STORE).examples
    assert first.tags == {"category": {"toys"}, "colours": {"red", "blue"}}
    assert (second.categories, second.columns) == (frozenset(), {"country": "DE"})


def test_a_manifest_names_urls_with_their_hashes(tmp_path: Path) -> None:
    path = csv_of(tmp_path, f"url,sha256,label\nhttps://cdn.example.com/1.jpg?key=secret,{SHA256.upper()},weapons\n")
    (example,) = read_dataset(path, OPTIONS, STORE).examples
    assert example.location == "https://cdn.example.com/1.jpg?key=secret"
    assert (example.image_id, example.sha256) == ("cdn.example.com/1.jpg", SHA256)


def test_a_map_gives_labels_their_categories(tmp_path: Path) -> None:
    path = csv_of(tmp_path, "image,label\na.jpg,fight\nb.jpg,safe\n")
    assert labels(read_dataset(path, OPTIONS, STORE)) == {"a.jpg": {"weapons", "violence"}, "b.jpg": set()}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,labels\na.jpg,none\nb.jpg,wepons\n", "line 3: the label 'wepons' is no category"),
        ("image,labels\na.jpg,\n", "line 2: labels is empty: write none"),
        ("image,labels\na.jpg\n", "line 2: 1 cells under a heading of 2"),
        ("image,image\na.jpg,b\n", "line 1: the column 'image' stands there twice"),
        ("image,tenant\na.jpg,b\n", "line 2: no label; one of the columns labels, label"),
        ("labels\nnone\n", "line 2: no image is named"),
        ("", "line 1: a heading with a name for every column was expected"),
        ("image,labels\n", "it has no rows"),
        ("image,labels\n../secret.jpg,none\n", "line 2: '../secret.jpg' leads out of"),
        ("image,labels\n/etc/passwd,none\n", "line 2: '/etc/passwd' leads out of"),
        ("image,labels\nhttps://x.example/a.jpg,none\n", "line 2: sha256 is missing"),
        ("image,labels\nfile:///etc/passwd,none\n", "line 2: a file is named by its path"),
        ("image,labels\nftp://x.example/a.jpg,none\n", "line 2: ftp:// is not supported"),
        ("image,labels,sha256\na.jpg,none,abc\n", "line 2: sha256: 64 hexadecimal digits"),
        ("image,labels,weight\na.jpg,none,-1\n", "line 2: weight: a number above 0"),
        ("image,labels,weight\na.jpg,none,nan\n", "line 2: weight: a number above 0"),
        ("image,labels,tags\na.jpg,none,[1\n", "line 2: tags: this is no JSON"),
        ("image,labels,tenant\na.jpg,none,a\x07b\n", "line 2: tenant: 1 to 256 characters"),
        ('image,labels\n"a.jpg,none\n', "this is no CSV"),
    ],
)
def test_what_is_wrong_in_a_csv_file_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DatasetError) as raised:
        read_dataset(csv_of(tmp_path, text), OPTIONS, STORE)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"image": "a.jpg", "labels": []}\n{"image"\n', "line 2: this is no JSON"),
        (b"[1]\n", "line 1: an object a line was expected"),
        (b'{"image": "a.jpg", "labels": [true]}\n', "line 1: labels: a list of texts was expected"),
        (b'{"image": "a.jpg", "labels": null}\n', "line 1: labels is empty"),
        (b'{"image": "a.jpg", "labels": ["a\xff"]}\n', "line 1: the text is no UTF-8"),
        (b'{"image": "a\\u0000.jpg", "labels": []}\n', "line 1: no file can have the name"),
        (b"[" * 2000 + b"\n", "line 1: this is no JSON"),
        (b'{"a": "' + b"x" * 2**20 + b'"}\n', "line 1: the line has more than"),
    ],
)
def test_what_is_wrong_in_json_lines_is_named_with_its_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_bytes(content)
    with pytest.raises(DatasetError) as raised:
        read_dataset(path, OPTIONS, STORE)
    assert said in str(raised.value)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"x")
    (tmp_path / "inside/link.jpg").symlink_to(tmp_path / "secret.jpg")
    path = csv_of(tmp_path / "inside", "image,labels\nlink.jpg,none\n")
    with pytest.raises(DatasetError, match=r"'link\.jpg' leads out of"):
        read_dataset(path, OPTIONS, STORE)


@pytest.mark.parametrize("name", ["nothing", "labels.xml"])
def test_what_is_no_dataset_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "labels.xml").write_text("<labels/>")
    with pytest.raises(DatasetError):
        read_dataset(tmp_path / name, OPTIONS, STORE)


def test_labels_are_about_what_the_dataset_labels_anywhere_or_the_row_says(tmp_path: Path) -> None:
    path = csv_of(tmp_path, "image,labels,labelled\na.jpg,weapons,\nb.jpg,none,alcohol\nc.jpg,none,\n")
    dataset = read_dataset(path, OPTIONS, STORE)
    a, b, c = dataset.examples
    assert dataset.labelled == {"weapons", "alcohol"}
    assert dataset.is_about(a, "alcohol")
    assert dataset.is_about(c, "weapons")
    assert not dataset.is_about(b, "weapons")
    assert not dataset.is_about(c, "violence")


def test_labels_of_a_part_are_about_what_the_whole_dataset_labels(tmp_path: Path) -> None:
    path = csv_of(tmp_path, "image,labels,split\na.jpg,weapons,train\nb.jpg,none,test\n")
    assert read_dataset(path, OPTIONS, STORE).part("test").labelled == {"weapons"}


def test_labels_that_name_no_category_at_all_are_about_every_one(tmp_path: Path) -> None:
    path = csv_of(tmp_path, "image,labels\na.jpg,none\nb.jpg,safe\n")
    assert read_dataset(path, OPTIONS, STORE).labelled == CATEGORIES


def test_an_option_s_label_takes_precedence_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "map.yaml"
    file.write_text("guns: weapons\nfight: [weapons, violence]\nsafe: none\n")
    found = read_label_map(["guns=alcohol"], file, categories=CATEGORIES)
    assert found == {"guns": ("alcohol",), "fight": ("weapons", "violence"), "safe": ("none",)}


@pytest.mark.parametrize("text", ["guns", "=weapons", "guns=wepons", "guns="])
def test_an_option_that_maps_to_no_category_is_an_error(text: str) -> None:
    with pytest.raises(LabelMapOptionError, match=f"--map {text}"):
        read_label_map([text], None, categories=CATEGORIES)


@pytest.mark.parametrize(("text", "line"), [("guns: weapons\nfight: fights\n", 2), ("- guns\n", 1), ("a: {b: c}\n", 1)])
def test_a_file_that_maps_to_no_category_is_an_error_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    file = tmp_path / "map.yaml"
    file.write_text(text)
    with pytest.raises(LabelMapError, match=f"line {line}"):
        read_label_map([], file, categories=CATEGORIES)


def test_half_of_a_surrogate_pair_is_refused_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text('{"image": "a.jpg", "label": "none", "further": "\\ud800"}\n')
    with pytest.raises(DatasetError, match="line 1"):
        read_dataset(path, DatasetOptions(frozenset({"weapons"})), ImageStore(tmp_path))
