"""What datasets and attributes of an HDF5 file hold, as nodes."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reproof.compare.hdf5.structure import (
    ATTRIBUTE,
    FILTERS,
    LAYOUT,
    SPACE,
    TYPE,
    UNDEFINED,
    File,
    Message,
)
from reproof.compare.pickles.folded import Array
from reproof.compare.pickles.nodes import Raw, Sequence
from reproof.compare.protocol import ContentError, Context, LimitError
from reproof.compare.tensors import Tensor

if TYPE_CHECKING:
    import numpy as np

_INTEGER, _FLOAT, _STRING, _ENUM, _VARIABLE = 0, 1, 3, 8, 9
_IEEE = {  # (bytes, exponent at, exponent bits, mantissa bits, bias) of the floats that NumPy has
    (2, 10, 5, 10, 15): "f2",
    (4, 23, 8, 23, 127): "f4",
    (8, 52, 11, 52, 1023): "f8",
}
_BFLOAT = (2, 7, 8, 7, 127)
_DEFLATE, _SHUFFLE, _FLETCHER = 1, 2, 3
_MAX_RANK = 32
_MAX_TEXTS = 1_000_000
_MAX_BYTES = 1 << 29  # of one dataset that must be put together from chunks


@dataclass(frozen=True)
class Kind:
    """The type of elements.

    Attributes:
        size: Bytes of one element in the file.
        layout: The NumPy type; None where there is none.
        is_text: Elements are references to text of their own length.
        told: The whole description, for comparing.
    """

    size: int
    layout: np.dtype[Any] | None
    is_text: bool
    told: bytes


def read_type(data: memoryview) -> Kind:
    """A datatype message; types beyond numbers and text are only known by their bytes.

    Raises:
        ContentError: It is cut short, or has no size.
    """
    import numpy as np

    if len(data) < 8:
        raise ContentError("a type of HDF5 is cut short")
    kind, bits = data[0] & 15, data[1] | data[2] << 8
    (size,) = struct.unpack("<I", data[4:8])
    told = bytes(data)
    order = ">" if bits & 1 else "<"
    if kind == _INTEGER and size in (1, 2, 4, 8) and struct.unpack("<HH", data[8:12]) == (0, 8 * size):
        return Kind(size, np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}"), False, told[:12])
    if kind == _FLOAT:
        form = (size, data[12], data[13], data[15], struct.unpack("<I", data[16:20])[0])
        if form in _IEEE and not bits & 0x40:
            return Kind(size, np.dtype(order + _IEEE[form]), False, told[:20])
    if kind == _STRING and size:
        return Kind(size, np.dtype(f"S{size}"), False, told[:8])
    if kind == _VARIABLE and bits & 15 == 1:
        return Kind(size, None, True, told)
    if kind == _ENUM and size == 1:
        return Kind(size, np.dtype("i1"), False, told)
    if not size:
        raise ContentError("a type of HDF5 has no size")
    return Kind(size, None, False, told)


def read_shape(data: memoryview) -> tuple[int, ...] | None:
    """A dataspace message; None for a space without elements.

    Raises:
        ContentError: It is damaged, or has more than 2**40 elements.
    """
    version, rank, flags = data[0], data[1], data[2]
    if version not in (1, 2) or rank > _MAX_RANK:
        raise ContentError("a dataspace of HDF5 is damaged")
    if version == 2 and data[3] == 2:
        return None
    start = 8 if version == 1 else 4
    del flags  # whether largest sizes follow, which say nothing about what is there
    shape: tuple[int, ...] = struct.unpack(f"<{rank}Q", data[start : start + 8 * rank])
    if math.prod(shape) > 1 << 40:
        raise ContentError("a dataspace of HDF5 cannot be")
    return shape


def read_attribute(file: File, data: memoryview) -> tuple[str, Any]:
    """An attribute message: its name and value.

    Raises:
        ContentError: It is damaged, or of a kind that is not read here.
    """
    version, flags = data[0], data[1]
    if version not in (1, 2, 3) or (version > 1 and flags & 3):
        raise ContentError("an attribute of HDF5 is of a kind that is not read here")
    lengths = struct.unpack("<HHH", data[2:8])
    at = 9 if version == 3 else 8
    parts = []
    for length in lengths:
        parts.append(data[at : at + length])
        at += -(-length // 8) * 8 if version == 1 else length
    name = bytes(parts[0]).rstrip(b"\0").decode("utf-8", "surrogateescape")
    kind, shape = read_type(parts[1]), read_shape(parts[2])
    if shape is None:
        return name, None
    needed = math.prod(shape) * kind.size
    if at + needed > len(data):
        raise ContentError("an attribute of HDF5 is cut short")
    return name, node_of(file, kind, shape, data[at : at + needed])


def read_dataset(file: File, messages: list[Message], context: Context) -> Any:
    """What a dataset holds, put together and decompressed.

    Raises:
        ContentError: It is damaged, or kept in a way that is not read here.
        LimitError: It is too large to be put together.
    """
    found = {message.kind: message.data for message in messages if message.kind != ATTRIBUTE}
    kind, shape = read_type(found[TYPE]), read_shape(found[SPACE])
    if shape is None:
        return None
    layout = found[LAYOUT]
    needed = math.prod(shape) * kind.size
    if layout[0] not in (3, 4) or layout[1] > 2:
        raise ContentError("a dataset of HDF5 is kept in a way that is not read here")
    if layout[1] == 0:
        data: Any = layout[4 : 4 + struct.unpack("<H", layout[2:4])[0]]
    elif layout[1] == 1:
        address, size = struct.unpack("<QQ", layout[2:18])
        if address == UNDEFINED:
            return Sequence("tuple", ["nothing written", *shape, Raw("bytes", kind.told)])
        data = file.take(address, size)
    else:
        if layout[0] != 3:
            raise ContentError("a dataset of HDF5 has an index of chunks that is not read here")
        data = _Chunks(file, layout, kind, shape, found.get(FILTERS)).join(context)
    if len(data) < needed:
        raise ContentError("a dataset of HDF5 is cut short")
    return node_of(file, kind, shape, data[:needed])


def node_of(file: File, kind: Kind, shape: tuple[int, ...], data: memoryview) -> Any:
    """Elements as a node: numbers and fixed text as an array, text as text, all else as bytes.

    Args:
        file: Where texts of their own length are looked up.
        kind: The type of one element.
        shape: Lengths of the dimensions, the slowest first; empty for a single element.
        data: ``prod(shape) * kind.size`` bytes.

    Raises:
        ContentError: A text is damaged.
        LimitError: There are too many texts.
    """
    if kind.layout is not None:
        tensor = Tensor.of(kind.layout, shape, data)
    elif kind.is_text:
        if len(data) > _MAX_TEXTS * kind.size:
            raise LimitError(f"a dataset of HDF5 holds more than {_MAX_TEXTS:,} texts")
        items = [_text(file, data[at : at + kind.size]) for at in range(0, len(data), kind.size)]
        return Array("array", items=items, shape=shape, encoding="hdf5") if shape else items[0]
    else:
        tensor = Tensor.foreign(f"bytes{kind.size}", kind.size, shape, data)
    made = Array("array", tensor=tensor, shape=shape, encoding="hdf5")
    made.extra["type"] = Raw("bytes", kind.told)
    return made


def _text(file: File, reference: memoryview) -> Any:
    """Text in a global heap: length, address of the heap, number of the object in it."""
    length, address, number = struct.unpack("<IQI", reference[:16])
    if length == 0 or address in (0, UNDEFINED):
        return ""
    if address not in file.heaps:
        file.heaps[address] = _heap(file, address)
    data = file.heaps[address].get(number)
    if data is None or length > len(data):
        raise ContentError("text in a global heap of HDF5 is damaged")
    try:
        return str(data[:length], "utf-8")
    except UnicodeDecodeError:
        return Raw("str8", data[:length])


def _heap(file: File, address: int) -> dict[int, memoryview]:
    head = file.take(address, 16)
    if bytes(head[:4]) != b"GCOL":
        raise ContentError("a global heap of HDF5 is damaged")
    end = address + struct.unpack("<Q", head[8:16])[0]
    at, found = address + 16, {}
    while at + 16 <= end:
        number, size = struct.unpack("<H6xQ", file.take(at, 16))
        file.count()
        if number == 0:
            break
        found[number] = file.take(at + 16, size)
        at += 16 + -(-size // 8) * 8
    return found


class _Chunks:
    """A dataset in chunks, each filtered by itself."""

    def __init__(
        self, file: File, layout: memoryview, kind: Kind, shape: tuple[int, ...], filters: memoryview | None
    ) -> None:
        rank = layout[2] - 1
        self._tree, *sizes = struct.unpack(f"<Q{rank + 1}I", layout[3 : 11 + 4 * (rank + 1)])
        if rank != len(shape) or rank < 1 or sizes[-1] != kind.size or not all(sizes):
            raise ContentError("the chunks of a dataset of HDF5 are damaged")
        self._file = file
        self._chunk: tuple[int, ...] = tuple(sizes[:-1])
        self._kind = kind
        self._shape = shape
        self._filters = _filters(filters) if filters is not None else []
        size = math.prod(shape) * kind.size
        if max(size, math.prod(self._chunk) * kind.size) > _MAX_BYTES:
            raise LimitError(f"a dataset of {size:,} bytes in chunks is too large")

    def join(self, context: Context) -> memoryview:
        """The whole dataset in C order; chunks that are not there are zero."""
        import numpy as np

        whole = np.zeros(self._shape, f"V{self._kind.size}")
        if self._tree == UNDEFINED:
            return whole.reshape(-1).view("u1").data
        rank = len(self._shape)
        room = math.prod(self._chunk) * self._kind.size
        for leaf in self._file.leaves(self._tree, 1, 8 + 8 * (rank + 1)):
            size, mask, *corner = struct.unpack(f"<II{rank + 1}Q", leaf.key)
            context.spending.expand(room)
            data = self._undo(self._file.take(leaf.address, size), mask, room)
            if any(place >= length for place, length in zip(corner, self._shape, strict=False)):
                continue
            block = np.frombuffer(data, whole.dtype).reshape(self._chunk)
            target = whole[tuple(slice(at, at + step) for at, step in zip(corner, self._chunk, strict=False))]
            target[...] = block[tuple(slice(0, length) for length in target.shape)]
        return whole.reshape(-1).view("u1").data

    def _undo(self, data: memoryview, mask: int, room: int) -> bytes:
        """The chunk before its filters, which are undone from the last to the first."""
        import numpy as np

        plain: bytes = bytes(data)
        for number, name in reversed(list(enumerate(self._filters))):
            if mask >> number & 1:
                continue
            if name == _FLETCHER:
                plain = plain[:-4]
            elif name == _SHUFFLE:
                if len(plain) % self._kind.size:
                    raise ContentError("a shuffled chunk of HDF5 is damaged")
                planes = np.frombuffer(plain, "u1").reshape(self._kind.size, -1)
                plain = planes.T.tobytes()
            elif name == _DEFLATE:
                plain = _inflated(plain, room + 64)
            else:
                raise ContentError(f"the HDF5 filter {name} is not known here")
        if len(plain) != room:
            raise ContentError("a chunk of HDF5 is damaged")
        return plain


def _inflated(data: bytes, room: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, room)
    except zlib.error as error:
        raise ContentError(f"a chunk of HDF5 is damaged: {error}") from None


def _filters(data: memoryview) -> list[int]:
    """The numbers of the filters in the order in which they were applied."""
    version, count = data[0], data[1]
    at = 8 if version == 1 else 2
    found = []
    for _ in range(count):
        (number,) = struct.unpack("<H", data[at : at + 2])
        has_name = version == 1 or number >= 256
        length = struct.unpack("<H", data[at + 2 : at + 4])[0] if has_name else 0
        at += 4 if has_name else 2
        (values,) = struct.unpack("<2xH", data[at : at + 4])
        at += 4 + (-(-length // 8) * 8 if version == 1 else length) + 4 * values
        if version == 1 and values % 2:
            at += 4
        found.append(number)
    return found
