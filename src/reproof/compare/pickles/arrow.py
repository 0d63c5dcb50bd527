"""Arrow arrays within pickles (pandas keeps text in them): offset, padding and null slots set aside."""

from __future__ import annotations

from typing import Any

from reproof.compare.pickles.folded import Arrow
from reproof.compare.pickles.nodes import Call, Sequence, arguments_of, is_global, plain_bytes

#: Bytes of one element, by the name of the type; 0 for a bit.
_WIDTHS = {
    "bool": 0,
    **dict.fromkeys(("int8", "uint8"), 1),
    **dict.fromkeys(("int16", "uint16", "halffloat", "float16"), 2),
    **dict.fromkeys(("int32", "uint32", "float", "float32", "date32", "time32[s]", "time32[ms]"), 4),
    **dict.fromkeys(("int64", "uint64", "double", "float64", "date64", "time64[us]", "time64[ns]"), 8),
}
_VARIABLE = {"string": "<i4", "utf8": "<i4", "binary": "<i4", "large_string": "<i8", "large_utf8": "<i8",
             "large_binary": "<i8"}  # fmt: skip


def fold_array(node: Call) -> Arrow | None:
    """``_restore_array((type, length, nulls, offset, buffers, children, dictionary))`` of pyarrow.

    Only flat types are folded; of others, and where the buffers do not fit, the parts are compared
    as they stand.
    """
    given = arguments_of(node)
    parts = given[0].items if len(given) == 1 and isinstance(given[0], Sequence) else []
    if len(parts) != 7 or not node.is_bare:
        return None
    type_, length, nulls, offset, buffers, children, dictionary = parts
    if not all(type(number) is int and number >= 0 for number in (length, offset)) or type(nulls) is not int:
        return None
    if dictionary is not None or not isinstance(children, Sequence) or children.items:
        return None
    name, held = _name(type_), _buffers(buffers)
    if name is None or held is None:
        return None
    try:
        made = _fold(Arrow(type_, length, f"offset {offset}"), name, held, offset)
    except (ValueError, IndexError):
        return None
    missing = 0 if made is None or made.valid is None else length - int(made.valid.sum())
    return made if nulls in (-1, missing) else None


def _name(node: Any) -> str | None:
    """Types are pickled as ``type_for_alias(name)``."""
    if isinstance(node, Call) and is_global(node.callee, "pyarrow.lib.type_for_alias") and node.is_bare:
        given = arguments_of(node)
        return given[0] if len(given) == 1 and type(given[0]) is str else None
    return None


def _buffers(node: Any) -> list[memoryview | None] | None:
    if not isinstance(node, Sequence) or node.kind != "list":
        return None
    found: list[memoryview | None] = []
    for item in node.items:
        if item is None:
            found.append(None)
            continue
        given = arguments_of(item) if isinstance(item, Call) else []
        if len(given) != 1 or not is_global(item.callee, "pyarrow.lib.py_buffer") or not item.is_bare:
            return None
        data = plain_bytes(given[0])
        if data is None:
            return None
        found.append(data)
    return found


def _fold(made: Arrow, name: str, buffers: list[memoryview | None], offset: int) -> Arrow | None:
    import numpy as np

    end = offset + made.length
    valid = np.ones(made.length, "u1")
    if buffers and buffers[0] is not None:
        valid = _bits(buffers[0], offset, end)
        made.valid = None if valid.all() else valid
    if name in _WIDTHS and len(buffers) == 2 and buffers[1] is not None:
        made.width = _WIDTHS[name] or 1
        if _WIDTHS[name]:
            values = np.frombuffer(buffers[1], f"V{made.width}", end)[offset:]
        else:
            values = _bits(buffers[1], offset, end)
        if made.valid is not None:
            values = np.where(valid.astype(bool), values, np.zeros(1, values.dtype))
        made.values = np.ascontiguousarray(values).view("u1").data
        return made
    if name in _VARIABLE and len(buffers) == 3:
        return _fold_variable(made, _VARIABLE[name], buffers, offset)
    return None


def _fold_variable(made: Arrow, kind: str, buffers: list[memoryview | None], offset: int) -> Arrow | None:
    import numpy as np

    if made.length == 0:
        made.offsets = np.zeros(1, "<i8")
        return made
    if buffers[1] is None:
        return None
    offsets = np.frombuffer(buffers[1], kind, offset + made.length + 1)[offset:].astype("<i8")
    held = buffers[2] if buffers[2] is not None else memoryview(b"")
    lengths = np.diff(offsets)
    if offsets[0] < 0 or (lengths < 0).any() or offsets[-1] > held.nbytes:
        return None
    if made.valid is not None and (lengths[made.valid == 0] != 0).any():
        return None  # text under a null slot: compared as it stands
    made.offsets = offsets - offsets[0]
    made.values = held[int(offsets[0]) : int(offsets[-1])]
    return made


def _bits(data: memoryview, start: int, end: int) -> Any:
    import numpy as np

    packed = np.frombuffer(data, "u1", (end + 7) // 8)
    return np.unpackbits(packed, bitorder="little")[start:end]
