"""FlatBuffers read by a schema, with account of every byte.

Format: https://flatbuffers.dev/internals/ . A schema is a dict from the name of a field to its type, in
the order of the slots: ``i32``, ``f64`` and so on, ``text``, ``[f64]`` (an array), ``[text]``, the name
of a table, or ``[name]`` of tables; a struct is given as ``struct:N`` with its bytes.
"""

from __future__ import annotations

import struct
from typing import Any

from reproof.compare.pickles.folded import Array
from reproof.compare.pickles.nodes import Mapping, Raw, Sequence
from reproof.compare.protocol import ContentError, LimitError
from reproof.compare.tensors import Tensor

_PLAIN = {"i8": "<i1", "u8": "<u1", "i16": "<i2", "u16": "<u2", "i32": "<i4", "u32": "<u4", "i64": "<i8",
          "u64": "<u8", "f32": "<f4", "f64": "<f8"}  # fmt: skip
_MAX_TABLES = 300_000
_MAX_DEPTH = 32

Schema = dict[str, dict[str, str]]


class FlatBuffer:
    """A buffer that is read by the tables of a schema.

    Args:
        view: The buffer.
        schema: Fields of each table.
    """

    def __init__(self, view: memoryview, schema: Schema) -> None:
        self._view = view
        self._schema = schema
        self._seen: list[tuple[int, int]] = []
        self._tables = 0
        self._inline: list[int] = []

    def root(self, table: str) -> Mapping:
        """The root as a node: fields by name; those that are not there are left out.

        Raises:
            ContentError: An offset leads out of the buffer, or a table has unknown fields.
        """
        self._take(0, 4)
        return self._table(self._u32(0), table, 0)

    def unread(self) -> list[bytes]:
        """What no field owns: stretches that are not all zero (padding is), and the sizes of tables."""
        found = [repr(self._inline).encode()]
        position = 0
        for start, end in [*sorted(self._seen), (len(self._view), len(self._view))]:
            if start > position:
                rest = bytes(self._view[position:start])
                if rest.strip(b"\0"):
                    found.append(rest)
            position = max(position, end)
        return found

    def _take(self, start: int, length: int) -> memoryview:
        if start < 0 or length < 0 or start + length > len(self._view):
            raise ContentError("a field leads out of the FlatBuffer")
        self._seen.append((start, start + length))
        return self._view[start : start + length]

    def _u32(self, at: int) -> int:
        value: int = struct.unpack("<I", self._take(at, 4))[0]
        return value

    def _table(self, at: int, name: str, depth: int) -> Mapping:
        self._tables += 1
        if self._tables > _MAX_TABLES or depth > _MAX_DEPTH:
            raise LimitError("the FlatBuffer has too many tables")
        (back,) = struct.unpack("<i", self._take(at, 4))
        head = at - back
        size, inline = struct.unpack("<HH", self._take(head, 4))
        self._inline.append(inline)
        slots = struct.unpack(f"<{(size - 4) // 2}H", self._take(head + 4, (size - 4) // 2 * 2))
        fields = list(self._schema[name].items())
        made = Mapping()
        for number, slot in enumerate(slots):
            if slot and number >= len(fields):
                raise ContentError(f"a table `{name}` has fields that are not known here")
            if slot:
                field, kind = fields[number]
                made.pairs.append((field, self._field(at + slot, kind, depth)))
        return made

    def _field(self, at: int, kind: str, depth: int) -> Any:
        if kind in _PLAIN:
            return self._array(at, kind, (), 1)
        if kind.startswith("struct:"):
            return Raw("bytes", self._take(at, int(kind[7:])))
        target = at + self._u32(at)
        if target % 4:
            raise ContentError("an offset of the FlatBuffer is not aligned")
        if kind == "text":
            return self._text(target)
        if not kind.startswith("["):
            return self._table(target, kind, depth + 1)
        return self._vector(target, kind[1:-1], depth)

    def _vector(self, at: int, kind: str, depth: int) -> Any:
        count = self._u32(at)
        if kind in _PLAIN:
            return self._array(at + 4, kind, (count,), count)
        if kind.startswith("struct:"):
            return Raw("bytes", self._take(at + 4, count * int(kind[7:])))
        if count > len(self._view) // 4:
            raise ContentError("a vector leads out of the FlatBuffer")
        places = [at + 4 + 4 * number for number in range(count)]
        items = []
        for place in places:
            target = place + self._u32(place)
            items.append(self._text(target) if kind == "text" else self._table(target, kind, depth + 1))
        return Sequence("list", items)

    def _text(self, at: int) -> Any:
        length = self._u32(at)
        data = self._take(at + 4, length + 1)[:length]
        try:
            return str(data, "utf-8")
        except UnicodeDecodeError:
            return Raw("str8", data)

    def _array(self, at: int, kind: str, shape: tuple[int, ...], count: int) -> Array:
        import numpy as np

        layout = np.dtype(_PLAIN[kind])
        data = self._take(at, count * layout.itemsize)
        owner = "array" if shape else "scalar"
        return Array(owner, tensor=Tensor.of(layout, shape, data), shape=shape, encoding="flatbuffer")
