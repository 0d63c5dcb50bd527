"""Arrays that joblib writes behind the pickled wrapper that describes them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from reproof.compare.pickles.dtypes import read_dtype, read_shape
from reproof.compare.pickles.nodes import Call, Global, as_dict, is_global
from reproof.compare.protocol import ContentError

if TYPE_CHECKING:
    from reproof.compare.pickles.machine import Machine

#: The class whose instances are followed by an array (joblib 0.10 and later).
WRAPPERS = ("joblib.numpy_pickle.NumpyArrayWrapper",)

_EXPECTED = {"subclass", "shape", "order", "dtype", "allow_mmap"}
_JOBLIB_ALIGNMENT = 16
_ALIGNMENT = "numpy_array_alignment_bytes"


class Inline:
    """An array behind its wrapper: NumPy type, shape, order, and data or, for objects, a tree."""

    __slots__ = ("data", "dtype", "order", "shape", "subclass", "tree")

    def __init__(self, state: dict[str, Any]) -> None:
        dtype, shape = read_dtype(state["dtype"]), read_shape(state["shape"])
        if dtype is None or shape is None or state["order"] not in ("C", "F"):
            raise ContentError("an array of joblib has no readable description")
        if not isinstance(state["subclass"], Global) or type(state["allow_mmap"]) is not bool:
            raise ContentError("an array of joblib has no readable description")
        self.dtype = dtype
        self.shape = shape
        self.order: str = state["order"]
        self.subclass: Global = state["subclass"]
        self.data: memoryview = memoryview(b"")
        self.tree: Any = None


def read_inline(machine: Machine, wrapper: Call, position: int) -> int:
    """Read the array that follows `wrapper` at `position`, and keep it as its ``inline``.

    Layout: where ``numpy_array_alignment_bytes`` is set, one byte with the length of a padding of
    0xff and the padding; then the elements, or for objects a pickle of its own.

    Returns:
        The position behind the array.

    Raises:
        ContentError: The description is not what joblib writes, or the data are cut short.
    """
    state = as_dict((wrapper.states or [None])[0])
    if state is None or not set(state) >= _EXPECTED or set(state) - _EXPECTED - {_ALIGNMENT}:
        raise ContentError("an array of joblib has no readable description")
    inline = Inline(state)
    wrapper.inline = inline
    if inline.dtype.hasobject:
        if state["allow_mmap"]:
            machine.note("an array of objects that may be mapped")
        return _read_objects(machine, inline, position)
    machine.mappable.add(state["allow_mmap"])
    if state.get(_ALIGNMENT) is not None:
        position = _skip_padding(machine, state[_ALIGNMENT], position)
    length = math.prod(inline.shape) * inline.dtype.itemsize
    if position + length > len(machine.data):
        raise ContentError("an array of joblib is cut short")
    inline.data = machine.data[position : position + length]
    machine.weight += 1000
    return position + length


def _skip_padding(machine: Machine, alignment: Any, position: int) -> int:
    if type(alignment) is not int or not 0 < alignment <= 255:
        raise ContentError("an array of joblib has no readable description")
    length = machine.data[position]
    padding = machine.data[position + 1 : position + 1 + length]
    if (
        alignment != _JOBLIB_ALIGNMENT
        or length != alignment - (position + 1) % alignment
        or bytes(padding) != b"\xff" * length
    ):
        machine.note(f"padding of an array that joblib does not write, at {position}")
    return position + 1 + length


def _read_objects(machine: Machine, inline: Inline, position: int) -> int:
    """An array of objects is a pickle within the file, in which joblib has no say."""
    inner = type(machine)(machine.data, machine.check, joblib=False)
    inner.weight = machine.weight
    inline.tree, end = inner.read(position)
    machine.weight = inner.weight
    machine.shared |= inner.shared
    for anomaly in inner.anomalies:
        machine.note(anomaly)
    return end


def is_plain_class(subclass: Global) -> bool:
    """Whether the array is of NumPy's own class; a mapped one is pickled as such."""
    return is_global(subclass, "numpy.ndarray", "numpy.memmap", "numpy.core.memmap.memmap")
