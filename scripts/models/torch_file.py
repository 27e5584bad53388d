"""Reads the tensors of a torch file of before version 1.6, without torch and without trust.

Such a file is five pickles (magic number, protocol, system, tensors, names of storages) and then each storage: its
length as 8 bytes, and its numbers. A pickle may name anything to be called; this reader knows three names.
"""

import collections
import io
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC = 0x1950A86A20F9469CFC6C
LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True)
class _Storage:
    key: str
    dtype: np.dtype[np.generic]


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A window on a storage; strides count numbers, not bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


_NUMBERS = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


def _tensor(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


class _Reader(pickle.Unpickler):
    _KNOWN = {  # noqa: RUF012 - a constant; ClassVar would not make it less mutable
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    }

    def find_class(self, module: str, name: str) -> object:
        if module == "torch" and name in _NUMBERS:
            return _NUMBERS[name]
        if (module, name) not in self._KNOWN:
            raise pickle.UnpicklingError(f"a file of weights has no business with {module}.{name}")
        return self._KNOWN[module, name]

    def persistent_load(self, pid: tuple[str, np.dtype[np.generic], str]) -> _Storage:
        return _Storage(key=pid[2], dtype=pid[1])


def read_tensors(content: bytes) -> dict[str, NDArray[Any]]:
    """Return the tensors of a file by name."""
    file = io.BytesIO(content)
    magic, _protocol, _system, tensors, keys = (_Reader(file).load() for _ in range(5))
    if magic != MAGIC:
        raise ValueError("this is no torch file of the old form")
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in tensors.values()}
    storages = {key: _numbers(file, dtypes[key]) for key in keys}
    return {name: _window(storages[tensor.storage.key], tensor) for name, tensor in tensors.items()}


def _numbers(file: io.BytesIO, dtype: np.dtype[np.generic]) -> NDArray[Any]:
    count = int.from_bytes(file.read(LENGTH_BYTES), "little")
    return np.frombuffer(file.read(count * dtype.itemsize), dtype)


def _window(numbers: NDArray[Any], tensor: _Tensor) -> NDArray[Any]:
    last = sum((length - 1) * stride for length, stride in zip(tensor.shape, tensor.strides, strict=True))
    if not 0 <= tensor.offset <= tensor.offset + last < numbers.size:
        raise ValueError("a tensor reaches beyond its storage")
    strides = [stride * numbers.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides)
