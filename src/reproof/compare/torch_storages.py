"""Tensors of PyTorch within pickles: a storage, and how a tensor lies in it; PyTorch is not needed.

The functions that rebuild tensors are those of `torch._utils`; a storage is a persistent id, or, in a
plain pickle, a whole file of the old format within the pickle.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from reproof.compare.pickles.folded import Array
from reproof.compare.pickles.folding import Folder
from reproof.compare.pickles.nodes import Call, Global, Node, Sequence, arguments_of, plain_bytes
from reproof.compare.protocol import ContentError
from reproof.compare.tensors import Tensor

#: NumPy's name, or bytes of one element for types that NumPy does not have, by PyTorch's name.
_TYPES: dict[str, str | int] = {
    **{name: name for name in ("float16", "float32", "float64", "int8", "int16", "int32", "int64")},
    **{name: name for name in ("uint8", "uint16", "uint32", "uint64", "bool", "complex64", "complex128")},
    "bfloat16": 2,
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
    "float8_e4m3fnuz": 1,
    "float8_e5m2fnuz": 1,
    "float8_e8m0fnu": 1,
    "float4_e2m1fn_x2": 1,
    "complex32": 4,
    "qint8": 1,
    "quint8": 1,
    "qint32": 4,
    "quint4x2": 1,
    "quint2x4": 1,
}
_STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16", "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16",
    "CharStorage": "int8", "ByteStorage": "uint8", "BoolStorage": "bool", "UntypedStorage": "uint8",
    "ComplexDoubleStorage": "complex128", "ComplexFloatStorage": "complex64", "QUInt8Storage": "quint8",
    "QInt8Storage": "qint8", "QInt32Storage": "qint32", "QUInt4x2Storage": "quint4x2",
    "QUInt2x4Storage": "quint2x4",
}  # fmt: skip
_MAX_AXES = 64


class Storage(Node):
    """A stretch of memory of one type that tensors lie in.

    Attributes:
        dtype: PyTorch's name of the type.
        device: Where it was (``cpu``, ``cuda:0``).
        count: How many elements.
        data: The elements; filled in later where the file has them behind the pickle.
    """

    __slots__ = ("big_endian", "count", "data", "device", "dtype")

    def __init__(self, dtype: str, device: Any, count: int) -> None:
        self.dtype = dtype
        self.device = device
        self.count = count
        self.data: memoryview | None = None
        self.big_endian = False

    @property
    def size(self) -> int:
        """Bytes of one element."""
        return element_size(self.dtype)

    def tensor(self, shape: tuple[int, ...], data: Any, dtype: str | None = None) -> Tensor:
        """Elements of this storage, one behind the other, as a tensor of type `dtype` or its own.

        Args:
            shape: Lengths of the dimensions, the slowest first.
            data: Their bytes, as the file has them.
            dtype: The type that a view of the storage has, as PyTorch names it.

        Raises:
            ContentError: NumPy lacks the type, and its bytes lie in big endian order.
        """
        name = dtype or self.dtype
        known = _TYPES[name]
        if isinstance(known, int):
            if self.big_endian and known > 1:
                raise ContentError(f"elements of type {name} in big endian order")
            return Tensor.foreign(name, known, shape, data)
        import numpy as np

        layout = np.dtype(known)
        return Tensor.of(layout.newbyteorder(">") if self.big_endian else layout, shape, data)


def element_size(dtype: str) -> int:
    """Bytes of one element of a type that PyTorch names so."""
    known = _TYPES[dtype]
    if isinstance(known, int):
        return known
    import numpy as np

    return np.dtype(known).itemsize


def storage_of(key: Any) -> Storage | None:
    """The storage that a persistent id announces, without its data; None for any other id.

    The id is ``('storage', class, key, device, count[, view])``.
    """
    parts = key.items if isinstance(key, Sequence) and key.kind == "tuple" else []
    if len(parts) not in (5, 6) or parts[0] != "storage" or type(parts[2]) is not str:
        return None
    if not isinstance(parts[1], Global) or parts[1].name not in _STORAGES:
        return None
    if parts[1].module not in ("torch", "torch.storage", "torch.cuda"):
        return None
    if type(parts[4]) is not int or parts[4] < 0 or type(parts[3]) is not str:
        return None
    return Storage(_STORAGES[parts[1].name], parts[3], parts[4])


class TorchFolder(Folder):
    """Folds tensors and storages of PyTorch besides all that :class:`Folder` folds.

    Args:
        read: Reads a file of the old format that lies within a pickle; gives its root.
    """

    def __init__(self, read: Callable[[memoryview], Any]) -> None:
        self._read = read
        self._arrays: dict[int, Array] = {}
        super().__init__(
            {
                "torch._utils._rebuild_tensor": self._rebuild,
                "torch._utils._rebuild_tensor_v2": self._rebuild,
                "torch._utils._rebuild_tensor_v3": self._rebuild,
                "torch._utils._rebuild_parameter": self._parameter,
                "torch.storage._load_from_bytes": self._load,
            }
        )

    def fold(self, node: Any) -> Any:
        """The meaning of `node`; a storage by itself is an array of one axis."""
        found = super().fold(node)
        if not isinstance(found, Storage):
            return found
        if id(found) not in self._arrays:
            self._arrays[id(found)] = _whole(found)
        return self._arrays[id(found)]

    def _load(self, node: Call) -> Any:
        given = arguments_of(node)
        data = plain_bytes(given[0]) if len(given) == 1 and node.is_bare else None
        root = None if data is None else self._read(data)
        return root if isinstance(root, Storage) or root is None else self.fold(root)

    def _parameter(self, node: Call) -> Array | None:
        """``(tensor, requires_grad, hooks)``."""
        given = arguments_of(node)
        data = self.fold(given[0]) if len(given) == 3 and node.is_bare else None
        if not isinstance(data, Array) or data.owner != "torch.Tensor":
            return None
        made = Array("torch.nn.Parameter", tensor=data.tensor, shape=data.shape, encoding=data.encoding)
        made.extra = {f"data.{name}": value for name, value in data.extra.items()}
        made.extra |= {"requires_grad": given[1], "backward_hooks": given[2]}
        made.anchor = data.anchor
        return made

    def _rebuild(self, node: Call) -> Array | None:
        """``(storage, offset, size, stride[, requires_grad, hooks[, dtype][, metadata]])``."""
        given = arguments_of(node)
        if not 4 <= len(given) <= 8 or not node.is_bare:
            return None
        storage = _found(given[0], super().fold)
        shape, strides = _numbers(given[2]), _numbers(given[3])
        if storage is None or shape is None or strides is None or len(shape) != len(strides):
            return None
        if type(given[1]) is not int or given[1] < 0:
            return None
        is_third = isinstance(node.callee, Global) and node.callee.name.endswith("_v3")
        dtype = _named_type(given[6]) if is_third and len(given) > 6 else storage.dtype
        if dtype is None:
            return None
        made = _placed(storage, dtype, given[1], shape, strides)
        names = ("requires_grad", "backward_hooks", *(("dtype",) if is_third else ()), "metadata")
        made.extra |= dict(zip(names, given[4:], strict=False))
        made.extra.pop("dtype", None)
        return made


def _found(node: Any, fold: Callable[[Any], Any]) -> Storage | None:
    """The storage behind a typed or untyped view of it, or behind a file within the pickle."""
    found = fold(node) if isinstance(node, Call) else node
    return found if isinstance(found, Storage) else None


def _numbers(node: Any) -> tuple[int, ...] | None:
    items = node.items if isinstance(node, Sequence) and node.kind == "tuple" else None
    if items is None or len(items) > _MAX_AXES or any(type(item) is not int or item < 0 for item in items):
        return None
    return tuple(items)


def _named_type(node: Any) -> str | None:
    if isinstance(node, Global) and node.module == "torch" and node.name in _TYPES:
        return node.name
    return None


def _data(storage: Storage) -> memoryview:
    if storage.data is None:
        raise ContentError("a storage is not in the file")
    if storage.data.nbytes != storage.count * storage.size:
        raise ContentError("a storage has another size than its tensors say")
    return storage.data


def _whole(storage: Storage) -> Array:
    shape = (storage.count,)
    made = Array(
        "torch storage", tensor=storage.tensor(shape, _data(storage)), shape=shape, encoding="storage"
    )
    made.extra = {"device": storage.device}
    made.anchor = storage
    return made


def _placed(
    storage: Storage, dtype: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> Array:
    """The tensor that lies in `storage` from element `offset` on, with `strides` in elements."""
    data, size, count = _data(storage), element_size(dtype), math.prod(shape)
    reach = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True)) + 1
    if count and reach * size > data.nbytes:
        raise ContentError("a tensor reaches beyond its storage")
    encoding = "torch"
    if count == 0:
        part: Any = b""
    elif _is_contiguous(shape, strides):
        part = data[offset * size : (offset + count) * size]
    else:
        part, encoding = _gathered(data[offset * size :], size, shape, strides), f"strides {strides}"
    made = Array("torch.Tensor", tensor=storage.tensor(shape, part, dtype), shape=shape, encoding=encoding)
    made.extra = {"device": storage.device}
    made.anchor = storage
    if count * size != data.nbytes:  # what no tensor shows is content of the file all the same
        made.extra["storage"] = storage
    return made


def _is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    step = 1
    for length, stride in zip(reversed(shape), reversed(strides), strict=True):
        if length != 1 and stride != step:
            return False
        step *= length
    return True


def _gathered(data: memoryview, size: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    """The elements in C order; a copy. An expanded tensor may be much larger than its storage."""
    import numpy as np

    if math.prod(shape) * size > max(1 << 28, 4 * data.nbytes):
        raise ContentError("a tensor is much larger than its storage")
    elements = np.frombuffer(data, f"V{size}", data.nbytes // size)
    places = tuple(stride * size for stride in strides)
    view = np.lib.stride_tricks.as_strided(elements, shape, places, writeable=False)
    return np.ascontiguousarray(view).reshape(-1).view("u1").data
