"""NumPy's types as pickles describe them: read from the tree, checked, never evaluated."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from reproof.compare.pickles.nodes import Call, Sequence, arguments_of, as_dict, is_global, plain_bytes

if TYPE_CHECKING:
    import numpy as np

_PLAIN = re.compile(r"[biufcmMOSUV]\d{1,9}")
_UNITS = frozenset(b"generic Y M W D h m s ms us ns ps fs as".split())
_MAX_DEPTH = 8
_NO_LAYOUT = [None, None, None]


def read_dtype(node: Any, depth: int = 0) -> np.dtype[Any] | None:
    """The type that `node` describes, exactly as NumPy writes it; None for any other tree.

    NumPy pickles a type as ``dtype(code, False, True)`` with a state of (version, byte order,
    subarray, names, fields, item size, alignment, flags[, metadata]).
    """
    if not isinstance(node, Call) or not is_global(node.callee, "numpy.dtype") or depth > _MAX_DEPTH:
        return None
    given = arguments_of(node)
    if len(given) != 3 or type(given[0]) is not str or given[1] is not False or given[2] is not True:
        return None
    if not _PLAIN.fullmatch(given[0]) or len(node.states or ()) != 1 or node.items or node.pairs:
        return None
    state = _items(node.states[0]) if node.states else None
    if state is None or len(state) not in (8, 9) or state[0] not in (3, 4) or state[1] not in ("<", ">", "|"):
        return None
    try:
        built = _build(given[0], state, depth)
    except (TypeError, ValueError, OverflowError):
        return None
    return built if built is not None and _is_as_written(built, given[0], state) else None


def _is_as_written(layout: np.dtype[Any], code: str, state: list[Any]) -> bool:
    """Whether NumPy writes the same code, size, alignment and flags for this type."""
    reduced: Any = layout.__reduce__()
    written, own = reduced[1][0], reduced[2]
    is_same = own[0] == state[0] and tuple(own[5:8]) == tuple(state[5:8])
    return bool(written == code and len(own) == len(state) and is_same)


def _items(node: Any) -> list[Any] | None:
    return node.items if isinstance(node, Sequence) and node.kind == "tuple" else None


def _build(code: str, state: list[Any], depth: int) -> np.dtype[Any] | None:
    import numpy as np

    order, subarray, names, fields, size = state[1:6]
    if len(state) == 9:
        return _with_unit(code, state)
    if subarray is not None:
        return _subarray(subarray, size, depth) if names is None and fields is None else None
    if names is not None or fields is not None:
        return _structured(state, depth)
    plain = np.dtype(code) if order == "|" else np.dtype(code).newbyteorder(order)
    expected_size = plain.itemsize if plain.kind in "SUV" else -1
    if (order == "|") != (plain.byteorder == "|") or size != expected_size:
        return None
    return plain


def _with_unit(code: str, state: list[Any]) -> np.dtype[Any] | None:
    """A date or a time span; its unit is in the metadata."""
    import numpy as np

    metadata = _items(state[8])
    if code not in ("M8", "m8") or state[2:5] != _NO_LAYOUT or metadata is None or len(metadata) != 2:
        return None
    unit = _items(metadata[1])
    if (
        (metadata[0] is not None and as_dict(metadata[0]) != {})
        or unit is None
        or len(unit) != 4
        or unit[2] != 1
    ):
        return None
    name = plain_bytes(unit[0])
    if name is None or bytes(name) not in _UNITS:
        return None
    if type(unit[1]) is not int or unit[3] != 1:
        return None
    text = bytes(name).decode("ascii")
    full = code if text == "generic" else f"{code}[{unit[1]}{text}]"
    return np.dtype(full).newbyteorder(state[1])


def _subarray(described: Any, size: Any, depth: int) -> np.dtype[Any] | None:
    import numpy as np

    parts = _items(described)
    if parts is None or len(parts) != 2:
        return None
    base, shape = read_dtype(parts[0], depth + 1), read_shape(parts[1])
    if base is None or shape is None:
        return None
    made = np.dtype((base, shape))
    return made if made.itemsize == size else None


def _structured(state: list[Any], depth: int) -> np.dtype[Any] | None:
    import numpy as np

    names, fields, size, flags = _items(state[3]), as_dict(state[4]), state[5], state[7]
    if names is None or fields is None or sorted(map(str, names)) != sorted(fields):
        return None
    formats, offsets = [], []
    for name in names:
        place = _items(fields[name])
        part = read_dtype(place[0], depth + 1) if place and len(place) == 2 else None
        if part is None or place is None or type(place[1]) is not int:
            return None
        formats.append(part)
        offsets.append(place[1])
    if type(size) is not int or type(flags) is not int:
        return None
    return np.dtype(
        {"names": list(names), "formats": formats, "offsets": offsets, "itemsize": size},
        align=bool(flags & 0x80),
    )


def read_shape(node: Any) -> tuple[int, ...] | None:
    """A tuple of lengths; None for any other tree."""
    items = _items(node)
    if items is None or len(items) > 64 or any(type(item) is not int or item < 0 for item in items):
        return None
    return tuple(items)
