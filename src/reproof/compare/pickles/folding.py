"""Folding the ways in which Python, NumPy, joblib and pandas write one thing into one node.

A fold only happens where the tree is exactly what the writer makes; anything else stays as it is
and is compared literally, so that no difference can hide in a fold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reproof.compare.pickles import arrow, frames
from reproof.compare.pickles.dtypes import read_dtype, read_shape
from reproof.compare.pickles.folded import Array, Dtype, Thing
from reproof.compare.pickles.joblib_arrays import WRAPPERS, Inline, is_plain_class
from reproof.compare.pickles.nodes import (
    Call,
    Global,
    Mapping,
    Raw,
    Sequence,
    arguments_of,
    as_dict,
    is_global,
    plain_bytes,
)
from reproof.compare.tensors import Tensor

_CORE = ("numpy._core.", "numpy.core.")
_RENAMED = "numpy module names"

#: A fold for further classes: gets the call, returns the node that it means, or None.
Fold = Callable[[Call], Any]


class Folder:
    """Folds the nodes of one tree, each once.

    Args:
        more: Further folds by the ``module.name`` of the callee.

    Attributes:
        aside: What folds have set aside, by name; named in the result where the two sides differ in it.
    """

    def __init__(self, more: dict[str, Fold] | None = None) -> None:
        self._known: dict[int, Any] = {}
        manager = frames.fold_manager(self.fold)
        self._folds: dict[str, Fold] = {**_FOLDS, **dict.fromkeys(frames.MANAGERS, manager), **(more or {})}
        self.aside: dict[str, list[Any]] = {}

    def fold(self, node: Any) -> Any:
        """The meaning of `node`; plain values, sequences and mappings mean themselves."""
        kind = type(node)
        if kind is not Call and kind is not Global:
            return node
        found = self._known.get(id(node))
        if found is None:
            found = self._fold_call(node) if isinstance(node, Call) else self._rename(node)
            self._known[id(node)] = found
        return found

    def _rename(self, node: Global) -> Global:
        """NumPy 2 calls its inner package ``_core``; names from before mean the same."""
        if node.module.startswith("numpy.core"):
            self.aside[_RENAMED] = [True]
            return Global(node.module.replace("numpy.core", "numpy._core", 1), node.name)
        return node

    def _fold_call(self, node: Call) -> Any:
        # calls of calls are folded when they are met: chains of them may be of any length
        callee = self.fold(node.callee) if isinstance(node.callee, Global) else node.callee
        if isinstance(callee, Global):
            fold = self._folds.get(callee.path)
            found = fold(node) if fold is not None else None
            if found is not None:
                return found
        return _thing(node, callee)


def _thing(node: Call, callee: Any) -> Thing:
    given = arguments_of(node)
    loose = [] if isinstance(node.arguments, Sequence) else [node.arguments]
    thing = Thing(node.kind, callee, [*given, *loose])
    thing.keywords = node.keywords
    if node.kind == "call" and isinstance(callee, Global):
        _rebuild(thing, callee)
    _spread(thing, node.states or [])
    thing.items, thing.pairs, thing.effects = node.items, node.pairs, node.effects
    if node.inline is not None:
        thing.states.append(node.inline.tree)
    return thing


def _rebuild(thing: Thing, callee: Global) -> None:
    """The three functions of ``copyreg`` that make a new object in older protocols."""
    given = thing.arguments
    if callee.path == "copyreg._reconstructor" and len(given) == 3:
        if is_global(given[1], "builtins.object") and given[2] is None:
            thing.kind, thing.owner, thing.arguments = "new", given[0], []
    elif callee.path == "copyreg.__newobj__" and given:
        thing.kind, thing.owner, thing.arguments = "new", given[0], given[1:]
    elif callee.path == "copyreg.__newobj_ex__" and len(given) == 3 and isinstance(given[1], Sequence):
        thing.kind, thing.owner, thing.keywords = "new", given[0], given[2]
        thing.arguments = given[1].items


def _spread(thing: Thing, states: list[Any]) -> None:
    """Sort states into names, slots and others; only the first of each kind is spread."""
    for state in states:
        names = as_dict(state)
        pair = state.items if isinstance(state, Sequence) and state.kind == "tuple" else []
        if names is not None and thing.attributes is None:
            thing.attributes = names
        elif _is_slots(pair) and thing.attributes is None and thing.slots is None:
            thing.attributes, thing.slots = as_dict(pair[0]), as_dict(pair[1])
        else:
            thing.states.append(state)


def _is_slots(pair: list[Any]) -> bool:
    if len(pair) != 2 or not isinstance(pair[1], Mapping) or as_dict(pair[1]) is None:
        return False
    return pair[0] is None or as_dict(pair[0]) is not None


def _reconstruct(node: Call) -> Any:
    """``_reconstruct(class, (0,), b'b')`` with a state of (1, shape, type, is Fortran, elements)."""
    given = arguments_of(node)
    state = node.states[0] if len(node.states or ()) == 1 and node.states else None
    parts = state.items if isinstance(state, Sequence) and state.kind == "tuple" else []
    if len(given) != 3 or len(parts) != 5 or node.items or node.pairs or node.effects:
        return None
    filler = plain_bytes(given[2])
    if (
        not isinstance(given[0], Global)
        or read_shape(given[1]) != (0,)
        or filler is None
        or bytes(filler) != b"b"
    ):
        return None
    layout, shape = read_dtype(parts[2]), read_shape(parts[1])
    if parts[0] != 1 or layout is None or shape is None or type(parts[3]) is not bool:
        return None
    order = "F" if parts[3] else "C"
    if layout.hasobject:
        items = parts[4].items if isinstance(parts[4], Sequence) and parts[4].kind == "list" else None
        return _objects(given[0], shape, order, items, "objects")
    data = plain_bytes(parts[4])
    return None if data is None else _array(given[0], layout, shape, (data, order), "state")


def _from_buffer(node: Call) -> Any:
    """``_frombuffer(buffer, type, shape, order[, axes])`` of protocol 5."""
    given = arguments_of(node)
    if len(given) not in (4, 5) or not node.is_bare:
        return None
    data, layout, shape, order = plain_bytes(given[0]), read_dtype(given[1]), read_shape(given[2]), given[3]
    if data is None or layout is None or shape is None or layout.hasobject:
        return None
    plain = Global("numpy", "ndarray")
    if order == "K" and len(given) == 5:
        return _permuted(layout, shape, data, read_shape(given[4]))
    return _array(plain, layout, shape, (data, order), "buffer") if len(given) == 4 else None


def _permuted(
    layout: Any, shape: tuple[int, ...], data: memoryview, axes: tuple[int, ...] | None
) -> Array | None:
    """An array whose axes lie in another order than C or Fortran: brought into C order."""
    import numpy as np

    if axes is None or sorted(axes) != list(range(len(shape))):
        return None
    tensor = Tensor.of(layout, shape, data)
    if memoryview(data).nbytes != tensor.count * tensor.size:
        return None
    turned = np.ascontiguousarray(np.ndarray(shape, layout, data).transpose(axes))
    made = Tensor.of(layout, turned.shape, turned.reshape(-1).view("u1").data)
    return Array(
        "numpy.ndarray", tensor=made, shape=turned.shape, encoding=f"axes in order {','.join(map(str, axes))}"
    )


def _array(
    owner: Global, layout: Any, shape: tuple[int, ...], data: tuple[memoryview, Any], encoding: str
) -> Array | None:
    tensor = Tensor.of(layout, shape, data[0], data[1])
    fits = memoryview(data[0]).nbytes == tensor.count * tensor.size
    # NumPy only says Fortran where it makes a difference
    sensible = data[1] == "C" or (data[1] == "F" and sum(length != 1 for length in shape) > 1)
    if not fits or not sensible:
        return None
    return Array(_class_name(owner), tensor=tensor, shape=shape, encoding=encoding)


def _objects(
    owner: Global, shape: tuple[int, ...], order: str, items: list[Any] | None, encoding: str
) -> Array | None:
    import math

    if items is None or len(items) != math.prod(shape) or order != "C":
        return None
    return Array(_class_name(owner), items=items, shape=shape, encoding=encoding)


def _class_name(owner: Global) -> str:
    return "numpy.ndarray" if is_plain_class(owner) else owner.path


def _joblib(node: Call) -> Any:
    inline = node.inline
    if not isinstance(inline, Inline) or arguments_of(node) or len(node.states or ()) != 1:
        return None
    if node.items or node.pairs or node.effects:
        return None
    if inline.tree is None:
        return _array(inline.subclass, inline.dtype, inline.shape, (inline.data, inline.order), "joblib")
    inner = inline.tree
    if isinstance(inner, Call) and isinstance(inner.callee, Global) and inner.callee.name == "_reconstruct":
        found = _reconstruct(inner)
        if found is not None and found.shape == inline.shape:
            found.encoding = "joblib"
            return found
    return None


def _scalar(node: Call) -> Any:
    """``scalar(type, bytes)``."""
    given = arguments_of(node)
    layout = read_dtype(given[0]) if len(given) == 2 else None
    data = plain_bytes(given[1]) if len(given) == 2 else None
    if layout is None or data is None or data.nbytes != layout.itemsize or not node.is_bare:
        return None
    return Array("scalar", tensor=Tensor.of(layout, (), data), shape=(), encoding="scalar")


def _dtype(node: Call) -> Any:
    layout = read_dtype(node)
    return None if layout is None else Dtype(layout)


def _collection(kind: str) -> Fold:
    def fold(node: Call) -> Any:
        """``set([...])`` of protocols before 4."""
        given = arguments_of(node)
        plain = (
            node.is_bare and len(given) == 1 and isinstance(given[0], Sequence) and given[0].kind == "list"
        )
        return Sequence(kind, given[0].items) if plain else None

    return fold


def _encoded(node: Call) -> Any:
    data = plain_bytes(node)
    return None if data is None else Raw("bytes", data)


def _bytearray(node: Call) -> Any:
    given = arguments_of(node)
    if not node.is_bare or len(given) > 2:
        return None
    if not given:
        return Raw("bytearray", b"")
    if len(given) == 2:
        if type(given[0]) is not str or given[1] != "latin-1":
            return None
        return Raw("bytearray", given[0].encode("latin1", "strict"))
    data = plain_bytes(given[0])
    return None if data is None else Raw("bytearray", data)


def _attribute(node: Call) -> Any:
    """``getattr(class, name)`` for classes within classes, and members of enumerations."""
    given = arguments_of(node)
    if not node.is_bare or len(given) != 2 or type(given[1]) is not str:
        return None
    owner = given[0]
    if isinstance(owner, Call) and is_global(owner.callee, "builtins.getattr"):
        owner = _attribute(owner) if _depth_of(owner) < 16 else None
    return Global(owner.module, f"{owner.name}.{given[1]}") if isinstance(owner, Global) else None


def _depth_of(node: Any) -> int:
    depth = 0
    while isinstance(node, Call) and depth < 16:
        given = arguments_of(node)
        node, depth = (given[0] if given else None), depth + 1
    return depth


_FOLDS: dict[str, Fold] = {
    **{f"{core}multiarray._reconstruct": _reconstruct for core in _CORE},
    **{f"{core}numeric._frombuffer": _from_buffer for core in _CORE},
    **{f"{core}multiarray.scalar": _scalar for core in _CORE},
    **dict.fromkeys(WRAPPERS, _joblib),
    "numpy.dtype": _dtype,
    "builtins.set": _collection("set"),
    "builtins.frozenset": _collection("frozenset"),
    "_codecs.encode": _encoded,
    "builtins.bytes": _encoded,
    "builtins.bytearray": _bytearray,
    "builtins.getattr": _attribute,
    "pyarrow.lib._restore_array": arrow.fold_array,
}
