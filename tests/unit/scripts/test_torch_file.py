import io
import pickle

import numpy as np
import pytest

from scripts.models.torch_file import MAGIC, read_tensors


def torch_file(tensor: bytes, *, magic: int = MAGIC) -> bytes:
    numbers = np.arange(6, dtype="<f4").tobytes()
    parts = (pickle.dumps(magic, 2), pickle.dumps(1001, 2), pickle.dumps({}, 2), tensor, pickle.dumps(["0"], 2))
    return b"".join(parts) + (6).to_bytes(8, "little") + numbers


def tensors(offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    """Return the pickle of {"w": torch._utils._rebuild_tensor_v2(…)}, written by hand as torch is not here."""
    arguments = b"(" + _persistent() + _pickled(offset) + _pickled(shape) + _pickled(strides) + b"t"
    return b"\x80\x02}" + _pickled("w") + b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"Rs."


def _persistent() -> bytes:
    return b"(" + _pickled("storage") + b"ctorch\nFloatStorage\n" + _pickled("0") + b"tQ"


def _pickled(value: object) -> bytes:
    # Without the protocol at the start, the full stop at the end, and the memo in between.
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, 2)
    pickler.fast = True
    pickler.dump(value)
    return buffer.getvalue()[2:-1]


def test_tensors_are_read_with_their_offsets_and_strides() -> None:
    read = read_tensors(torch_file(tensors(1, (2, 2), (1, 2))))
    np.testing.assert_array_equal(read["w"], [[1, 3], [2, 4]])


def test_a_tensor_may_not_reach_beyond_its_storage() -> None:
    with pytest.raises(ValueError, match="a tensor reaches beyond its storage"):
        read_tensors(torch_file(tensors(4, (3,), (1,))))


def test_a_file_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="no torch file of the old form"):
        read_tensors(torch_file(tensors(0, (1,), (1,)), magic=1))


def test_nothing_that_a_pickle_names_is_called() -> None:
    with pytest.raises(pickle.UnpicklingError, match=r"no business with os\.system"):
        read_tensors(torch_file(b"\x80\x02cos\nsystem\n" + _pickled(("true",)) + b"R."))
