"""Opcodes of the pickle machine that make and fill containers."""

from __future__ import annotations

from typing import Any

from reproof.compare.pickles.nodes import Call, Mapping, Sequence
from reproof.compare.pickles.values import Values
from reproof.compare.protocol import ContentError


class Containers(Values):
    """The opcodes for lists, tuples, sets and dicts."""

    # containers

    def _container(self, kind: str, items: list[Any]) -> None:
        self._stack.append(Sequence(kind, items))
        self.weight += 150 + 8 * len(items)

    def _op_empty_list(self, position: int) -> int:
        self._container("list", [])
        return position

    def _op_empty_tuple(self, position: int) -> int:
        self._container("tuple", [])
        return position

    def _op_empty_set(self, position: int) -> int:
        self._needs(4, position)
        self._container("set", [])
        return position

    def _op_empty_dict(self, position: int) -> int:
        self._stack.append(Mapping())
        self.weight += 200
        return position

    def _op_tuple(self, position: int) -> int:
        self._container("tuple", self._mark())
        return position

    def _few(self, count: int) -> None:
        if len(self._stack) < count:
            raise IndexError
        items = self._stack[-count:]
        del self._stack[-count:]
        self._container("tuple", items)

    def _op_tuple1(self, position: int) -> int:
        self._container("tuple", [self._stack.pop()])
        return position

    def _op_tuple2(self, position: int) -> int:
        self._few(2)
        return position

    def _op_tuple3(self, position: int) -> int:
        self._few(3)
        return position

    def _op_list(self, position: int) -> int:
        self._container("list", self._mark())
        return position

    def _op_frozenset(self, position: int) -> int:
        self._needs(4, position)
        self._container("frozenset", self._mark())
        return position

    def _op_dict(self, position: int) -> int:
        items = self._mark()
        made = Mapping()
        self.weight += 200
        self._stack.append(made)
        self._set(items)
        return position

    def _op_append(self, position: int) -> int:
        value = self._stack.pop()
        self._extend([value], "list")
        return position

    def _op_appends(self, position: int) -> int:
        self._extend(self._mark(), "list")
        return position

    def _op_additems(self, position: int) -> int:
        self._needs(4, position)
        self._extend(self._mark(), "set")
        return position

    def _extend(self, values: list[Any], kind: str) -> None:
        target = self._stack[-1]
        self.weight += 16 * len(values)
        if isinstance(target, Sequence) and target.kind == kind:
            target.items.extend(values)
        elif isinstance(target, Call):
            target.items = target.items if target.items is not None else []
            target.items.extend(values)
        else:
            raise ContentError("the pickle is damaged: items for what cannot have any")

    def _op_setitem(self, position: int) -> int:
        value = self._stack.pop()
        key = self._stack.pop()
        self._set([key, value])
        return position

    def _op_setitems(self, position: int) -> int:
        self._set(self._mark())
        return position

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if len(items) % 2:
            raise ContentError("the pickle is damaged: a key without a value")
        self.weight += 40 * len(items)
        pairs = zip(items[::2], items[1::2], strict=True)
        if isinstance(target, Mapping):
            target.pairs.extend(pairs)
        elif isinstance(target, Call):
            target.pairs = target.pairs if target.pairs is not None else []
            target.pairs.extend(pairs)
        else:
            raise ContentError("the pickle is damaged: keys for what cannot have any")
