import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from service.policy.taxonomy import NAMES
from service.tools.evaluation.datasets.dataset import DatasetError, DatasetOptions, Example
from service.tools.evaluation.datasets.image_store import ImageStore
from service.tools.evaluation.datasets.reading import read_dataset

OPTIONS = DatasetOptions(frozenset(NAMES), {"safe": ()})
CLASSES = {"_type": "ClassLabel", "names": ["safe", "weapons", "violence"]}
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def table(columns: dict[str, Any], features: dict[str, Any], types: dict[str, pa.DataType] | None = None) -> pa.Table:
    """Make a table with the features that Hugging Face's package writes beside the schema."""
    arrays = {name: pa.array(values, type=(types or {}).get(name)) for name, values in columns.items()}
    return pa.table(arrays).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def on_disk(folder: Path, content: pa.Table, **state: object) -> Path:
    """Write a split as `save_to_disk` does."""
    folder.mkdir(parents=True)
    with pa.ipc.new_stream(str(folder / "data-00000-of-00001.arrow"), content.schema) as writer:
        writer.write_table(content, max_chunksize=2)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]} | state))
    (folder / "dataset_info.json").write_text("{}")
    return folder


def read(path: Path, store: Path) -> list[Example]:
    return list(read_dataset(path, OPTIONS, ImageStore(store)).examples)


def images(*contents: bytes) -> list[dict[str, object]]:
    return [{"bytes": content, "path": f"{number}.jpg"} for number, content in enumerate(contents)]


def test_a_dataset_on_disk_has_images_and_class_labels(tmp_path: Path) -> None:
    content = table(
        {"image": images(b"one", b"two", b"three"), "label": [1, 0, 2]},
        {"image": {"_type": "Image"}, "label": CLASSES},
        {"image": IMAGE},
    )
    found = read(on_disk(tmp_path / "set", content), tmp_path / "store")
    assert [each.categories for each in found] == [{"weapons"}, set(), {"violence"}]
    assert [Path(each.location).read_bytes() for each in found] == [b"one", b"two", b"three"]
    assert Path(found[0].location).name == hashlib.sha256(b"one").hexdigest()
    assert [each.image_id for each in found] == ["0.jpg", "1.jpg", "2.jpg"]


@pytest.mark.parametrize(
    "feature", [{"_type": "Sequence", "feature": CLASSES}, {"_type": "List", "feature": CLASSES}, [CLASSES]]
)
def test_lists_of_class_labels_are_several_labels(tmp_path: Path, feature: object) -> None:
    content = table({"image": images(b"one", b"two"), "labels": [[1, 2], []]}, {"labels": feature}, {"image": IMAGE})
    found = read(on_disk(tmp_path / "set", content), tmp_path / "store")
    assert [each.categories for each in found] == [{"weapons", "violence"}, set()]


def test_splits_are_sub_folders(tmp_path: Path) -> None:
    content = table({"image": images(b"one"), "label": [1]}, {"label": CLASSES}, {"image": IMAGE})
    other = table({"image": images(b"two"), "label": [1]}, {"label": CLASSES}, {"image": IMAGE})
    on_disk(tmp_path / "set/train", content)
    on_disk(tmp_path / "set/test", other)
    (tmp_path / "set/dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    assert [each.split for each in read(tmp_path / "set", tmp_path / "store")] == ["train", "test"]


def test_an_image_may_be_a_file_beside_the_dataset(tmp_path: Path) -> None:
    content = table(
        {"picture": [{"bytes": None, "path": "a.jpg"}], "label": [1]}, {"label": CLASSES}, {"picture": IMAGE}
    )
    folder = on_disk(tmp_path / "set", content)
    (example,) = read(folder, tmp_path / "store")
    assert example.location == folder / "a.jpg"


def test_a_parquet_file_has_texts_and_lists(tmp_path: Path) -> None:
    path = tmp_path / "labels.parquet"
    rows = {"image": ["a.jpg", "b.jpg"], "labels": [["weapons"], []], "country": ["DE", "FR"], "adult": [True, False]}
    pyarrow.parquet.write_table(pa.table(rows), path)
    first, second = read(path, tmp_path / "store")
    assert first.location == tmp_path / "a.jpg"
    assert first.categories == {"weapons"}
    assert (first.columns, second.columns) == (
        {"country": "DE", "adult": "True"},
        {"country": "FR", "adult": "False"},
    )


def test_a_parquet_file_has_images_as_hugging_face_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    content = table({"image": images(b"one"), "label": [2]}, {"label": CLASSES}, {"image": IMAGE})
    pyarrow.parquet.write_table(content, path)
    (example,) = read(path, tmp_path / "store")
    assert example.categories == {"violence"}
    assert Path(example.location).read_bytes() == b"one"


@pytest.mark.parametrize("label", [-1, 3])
def test_a_number_of_no_class_is_named_with_its_row(tmp_path: Path, label: int) -> None:
    content = table({"image": images(b"1", b"2"), "label": [1, label]}, {"label": CLASSES}, {"image": IMAGE})
    with pytest.raises(DatasetError, match=rf"row 2, label: {label} is no number of its 3 classes"):
        read(on_disk(tmp_path / "set", content), tmp_path / "store")


def test_files_outside_of_the_dataset_are_not_read(tmp_path: Path) -> None:
    content = table({"image": images(b"one"), "label": [1]}, {"label": CLASSES}, {"image": IMAGE})
    on_disk(tmp_path / "other", content)
    state = {"_data_files": [{"filename": "../other/data-00000-of-00001.arrow"}]}
    with pytest.raises(DatasetError, match="leads out of"):
        read(on_disk(tmp_path / "set", content, **state), tmp_path / "store")
    outside = table(
        {"image": [{"bytes": None, "path": "/etc/passwd"}], "label": [1]}, {"label": CLASSES}, {"image": IMAGE}
    )
    with pytest.raises(DatasetError, match="row 1: '/etc/passwd' leads out of"):
        read(on_disk(tmp_path / "third", outside), tmp_path / "store")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("state.json", b"{", "is no JSON"),
        ("state.json", b"[]", "an object was expected"),
        ("state.json", b"{}", "it names no files"),
        ("state.json", b'{"_data_files": [{"filename": 1}]}', "it names no files"),
        ("state.json", b'{"_indices_data_files": [{}]}', "flatten_indices"),
        ("data-00000-of-00001.arrow", b"no arrow", "it cannot be read"),
        ("data-00000-of-00001.arrow", b"", "it cannot be read"),
        ("data-00000-of-00001.arrow", None, "it cannot be read"),
    ],
)
def test_a_broken_dataset_on_disk_is_an_error(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    whole = table({"image": images(b"one"), "label": [1]}, {"label": CLASSES}, {"image": IMAGE})
    folder = on_disk(tmp_path / "set", whole)
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(DatasetError, match=said):
        read(folder, tmp_path / "store")


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more", b"PAR1" + b"\x00" * 100 + b"PAR1"])
def test_a_broken_parquet_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "labels.parquet"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"labels\.parquet: it cannot be read"):
        read(path, tmp_path / "store")


def test_a_stream_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    content = table({"image": images(*[b"x" * 999] * 9), "label": [1] * 9}, {"label": CLASSES}, {"image": IMAGE})
    folder = on_disk(tmp_path / "set", content)
    file = folder / "data-00000-of-00001.arrow"
    file.write_bytes(file.read_bytes()[:-1500])
    with pytest.raises(DatasetError, match="it cannot be read"):
        read(folder, tmp_path / "store")


@pytest.mark.parametrize(
    "column",
    [
        pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")),
        pa.array([2**62], pa.timestamp("ns")),
        pa.array([1], pa.timestamp("us", "Mars/Olympus")),
    ],
    ids=["no-utf-8", "no-microsecond", "no-zone"],
)
def test_a_value_that_python_has_none_of_is_refused(tmp_path: Path, column: pa.Array) -> None:
    path = tmp_path / "labels.parquet"
    pyarrow.parquet.write_table(pa.table({"image": ["a.jpg"], "label": ["safe"], "further": column}), path)
    with pytest.raises(DatasetError, match="cannot be read"):
        read(path, tmp_path)
