"""Tables of pandas within pickles: blocks of columns are taken apart into columns.

How pandas joins columns of one type into blocks depends on how the table was made; it is set aside.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from reproof.compare.pickles.folded import Array, Arrow, Frame, Thing
from reproof.compare.pickles.nodes import Call, Sequence, arguments_of, as_dict, is_global
from reproof.compare.tensors import Tensor

_BLOCK = "pandas._libs.internals._unpickle_block"
_MAX_COLUMNS = 5_000  # beyond it blocks are compared as they are

MANAGERS = (
    "pandas.core.internals.managers.BlockManager",
    "pandas.core.internals.managers.SingleBlockManager",
)


def fold_manager(fold: Callable[[Any], Any]) -> Callable[[Call], Any]:
    """A fold for ``BlockManager((block, ...), [axis, ...])``, each block made from values and places."""

    def run(node: Call) -> Frame | None:
        given = arguments_of(node)
        if len(given) != 2 or not node.is_bare or not all(isinstance(each, Sequence) for each in given):
            return None
        axes = given[1].items
        columns: dict[int, Any] = {}
        layout = []
        for block in given[0].items:
            found = _block(block, fold)
            if found is None or found.keys() & columns.keys() or len(columns) > _MAX_COLUMNS:
                return None
            columns |= found
            layout.append(",".join(map(str, found)))
        made = Frame(axes, dict(sorted(columns.items())), ";".join(layout))
        made.labels = _labels(fold(axes[0]), fold) if len(axes) == 2 else None
        return made

    return run


def _block(block: Any, fold: Callable[[Any], Any]) -> dict[int, Any] | None:
    """The columns of a block by their places in the table."""
    given = arguments_of(block) if isinstance(block, Call) and is_global(block.callee, _BLOCK) else []
    if len(given) != 3 or given[2] not in (1, 2) or not block.is_bare:
        return None
    places, values = _places(given[1], fold), fold(given[0])
    if places is None or len(places) > _MAX_COLUMNS:
        return None
    if isinstance(values, Array) and values.owner == "numpy.ndarray" and len(values.shape) == 2 == given[2]:
        return _rows(values, places)
    return {places[0]: given[0]} if len(places) == 1 else None


def _places(node: Any, fold: Callable[[Any], Any]) -> list[int] | None:
    """A slice, or an array of integers."""
    if isinstance(node, Call) and is_global(node.callee, "builtins.slice") and node.is_bare:
        bounds = arguments_of(node)
        if len(bounds) != 3 or any(type(bound) is not int for bound in bounds) or bounds[2] == 0:
            return None
        reach = range(*bounds)
        return list(reach) if len(reach) <= _MAX_COLUMNS else None
    array = fold(node)
    if isinstance(array, Array) and array.tensor is not None and array.tensor.dtype == "int64":
        import numpy as np

        return [int(place) for place in np.frombuffer(array.tensor.data, array.tensor.layout)]
    return None


def _rows(values: Array, places: list[int]) -> dict[int, Any] | None:
    """The rows of a block, which are columns of the table."""
    if values.shape[0] != len(places):
        return None
    length = values.shape[1]
    found: dict[int, Any] = {}
    for row, place in enumerate(places):
        if values.items is not None:
            items = values.items[row * length : (row + 1) * length]
            found[place] = Array("numpy.ndarray", items=items, shape=(length,), encoding="column")
        elif values.tensor is not None:
            found[place] = Array(
                "numpy.ndarray", tensor=_row(values.tensor, row, length), shape=(length,), encoding="column"
            )
    return found


def _row(tensor: Tensor, row: int, length: int) -> Tensor:
    import numpy as np

    assert tensor.layout is not None
    if tensor.order == "C":
        width = length * tensor.size
        data = memoryview(tensor.data).cast("B")[row * width : (row + 1) * width]
        return Tensor.of(tensor.layout, (length,), data)
    whole: Any = np.ndarray(tensor.shape, tensor.layout, tensor.data, order="F")
    return Tensor.of(tensor.layout, (length,), np.ascontiguousarray(whole[row]).view("u1").data)


def _labels(index: Any, fold: Callable[[Any], Any]) -> list[str] | None:
    """The names of the columns, where they are text."""
    if not isinstance(index, Thing) or len(index.arguments) != 2:
        return None
    data = fold((as_dict(index.arguments[1]) or {}).get("data"))
    if isinstance(data, Array) and data.items is not None:
        return [each if type(each) is str else f"({at})" for at, each in enumerate(data.items)]
    held = fold((data.attributes or {}).get("_pa_array")) if isinstance(data, Thing) else None
    if not isinstance(held, Arrow) or held.offsets is None:
        return None
    ends = [int(end) for end in held.offsets]
    return [bytes(held.values[start:end]).decode("utf-8", "replace") for start, end in pairwise(ends)]
