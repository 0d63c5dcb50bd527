"""Universal Binary JSON, in which XGBoost keeps its models (`.ubj`, and within its pickles).

Format: UBJSON draft 12, https://ubjson.org , with the typed containers that XGBoost writes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from reproof.compare.pickles.comparator import conclude
from reproof.compare.pickles.comparing import Sides
from reproof.compare.pickles.folded import Array
from reproof.compare.pickles.folding import Folder
from reproof.compare.pickles.nodes import Mapping, Raw, Sequence
from reproof.compare.protocol import ContentError, Context, LimitError, Source
from reproof.compare.tensors import Tensor
from reproof.model.difference import Difference

_INTEGERS = {ord("i"): ">b", ord("U"): ">B", ord("I"): ">h", ord("l"): ">i", ord("L"): ">q"}
_FLOATS = {ord("d"): ">f4", ord("D"): ">f8"}
_LAYOUTS = {
    ord("i"): "i1",
    ord("U"): "u1",
    ord("I"): ">i2",
    ord("l"): ">i4",
    ord("L"): ">i8",
    **_FLOATS,
}
_CONSTANTS = {ord("Z"): None, ord("T"): True, ord("F"): False}
_STARTS = b"iUIlL#$}"
_MAX_WEIGHT = 320 << 20
_OFTEN = 1 << 14


class UbjsonComparator:
    """UBJSON objects: children are named by path, ``learner.gradient_booster.model.trees[3]``."""

    name = "ubjson"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Both begin with an object whose first key or size has a type."""
        return all(
            len(side.head(12)) > 2 and side.head(1) == b"{" and _begins(side.head(12))
            for side in (expected, actual)
        )

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Widths of integers are set aside; arrays of one type are compared as arrays."""
        with expected.view() as one, actual.view() as two:
            sides = Sides(context, (Folder(), Folder()), plain_keys=True)
            sides.shared = (set(), set())
            readers = [_Reader(view, context.spending.check_time) for view in (one, two)]
            sides.compare(*(reader.read() for reader in readers))
            sides.finish()
            return conclude(sides, subject, self.name)


def _begins(head: bytes) -> bool:
    """Whether what follows the brace is the size of a key as UBJSON writes it, and a sensible one."""
    kind = head[1]
    if kind in b"#$}":
        return kind == ord("}") or (head[2] in b"iUIlL" if kind == ord("#") else True)
    if kind not in _INTEGERS:
        return False
    form = struct.Struct(_INTEGERS[kind])
    return len(head) >= 2 + form.size and 0 < form.unpack_from(head, 2)[0] < 1 << 16


class _Open:
    """A container that is being filled."""

    def __init__(self, node: Mapping | Sequence, left: int | None, kind: int | None) -> None:
        self.node = node
        self.left = left  # members that are still to come; None when an end mark closes it
        self.kind = kind  # type of all members; None when each says its own


class _Reader:
    """Reads one value, on a stack of its own.

    Specification: https://ubjson.org (draft 12).
    """

    def __init__(self, view: memoryview, check: Callable[[], None]) -> None:
        self._view = view
        self._check = check
        self._at = 0
        self._weight = 0

    def read(self) -> Any:
        """The tree of the whole file.

        Raises:
            ContentError: It is cut short, no UBJSON, or something follows behind it.
            LimitError: It holds too many values.
        """
        try:
            value = self._read()
        except (struct.error, IndexError):
            raise ContentError("the UBJSON is cut short") from None
        if self._at != len(self._view):
            raise ContentError(f"{len(self._view) - self._at:,} bytes follow behind the UBJSON")
        return value

    def _read(self) -> Any:
        stack: list[_Open] = []
        value = self._value(self._byte(), stack)
        steps = 0
        while stack:
            steps += 1
            if steps % _OFTEN == 0:
                self._check()
                if self._weight > _MAX_WEIGHT:
                    raise LimitError(f"it holds more values than fit into {_MAX_WEIGHT >> 20} MiB")
            top = stack[-1]
            if self._is_closed(top):
                stack.pop()
                continue
            key = self._text() if isinstance(top.node, Mapping) else None
            member = self._value(self._byte() if top.kind is None else top.kind, stack)
            self._weight += 150
            if isinstance(top.node, Mapping):
                top.node.pairs.append((key, member))
            else:
                top.node.items.append(member)
        return value

    def _is_closed(self, top: _Open) -> bool:
        if top.left is not None:
            top.left -= 1
            return top.left < 0
        while self._view[self._at] == ord("N"):
            self._at += 1
        end = b"}" if isinstance(top.node, Mapping) else b"]"
        if self._view[self._at] == end[0]:
            self._at += 1
            return True
        return False

    def _value(self, kind: int, stack: list[_Open]) -> Any:
        if kind in _CONSTANTS:
            return _CONSTANTS[kind]
        if kind in _INTEGERS:
            return self._integer(kind)
        if kind in _FLOATS:
            return self._array(kind, (), 1)
        if kind == ord("S"):
            return self._text()
        if kind == ord("C"):
            return chr(self._byte())
        if kind == ord("H"):
            return Sequence("tuple", ["high precision number", self._text()])
        if kind in b"[{":
            return self._container(kind == ord("{"), stack)
        raise ContentError(f"byte 0x{kind:02x} at {self._at - 1} is no type of UBJSON")

    def _container(self, is_object: bool, stack: list[_Open]) -> Any:
        kind, count = None, None
        if self._view[self._at] == ord("$"):
            kind = self._view[self._at + 1]
            self._at += 2
            if self._view[self._at] != ord("#"):
                raise ContentError("a type of UBJSON without a count")
        if self._view[self._at] == ord("#"):
            self._at += 1
            count = self._integer(self._byte())
            if not 0 <= count <= len(self._view) or (kind is not None and kind not in _LAYOUTS and count):
                raise ContentError("a count of UBJSON that cannot be")
        if not is_object and kind is not None and count is not None:
            return self._array(kind, (count,), count) if kind in _LAYOUTS else Sequence("list", [])
        node: Mapping | Sequence = Mapping() if is_object else Sequence("list", [])
        stack.append(_Open(node, count, kind))
        self._weight += 300
        return node

    def _array(self, kind: int, shape: tuple[int, ...], count: int) -> Array:
        import numpy as np

        layout = np.dtype(_LAYOUTS[kind])
        data = self._take(count * layout.itemsize)
        owner = "array" if shape else "scalar"
        self._weight += 800
        return Array(owner, tensor=Tensor.of(layout, shape, data), shape=shape, encoding="ubjson")

    def _integer(self, kind: int) -> int:
        if kind not in _INTEGERS:
            raise ContentError(f"byte 0x{kind:02x} at {self._at - 1} is no type of an integer")
        form = struct.Struct(_INTEGERS[kind])
        value: int = form.unpack(self._take(form.size))[0]
        return value

    def _text(self) -> Any:
        length = self._integer(self._byte())
        if length < 0:
            raise ContentError("text of negative length")
        data = self._take(length)
        self._weight += 60 + min(length, 1 << 16)
        if length >= 1 << 16:
            return Raw("text", data)
        try:
            return str(data, "utf-8")
        except UnicodeDecodeError:
            return Raw("str8", data)

    def _byte(self) -> int:
        self._at += 1
        return self._view[self._at - 1]

    def _take(self, length: int) -> memoryview:
        if self._at + length > len(self._view):
            raise ContentError("the UBJSON is cut short")
        self._at += length
        return self._view[self._at - length : self._at]
