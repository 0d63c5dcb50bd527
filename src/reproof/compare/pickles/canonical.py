"""Digests of subtrees by value, for the members of sets and for keys that are no plain values."""

from __future__ import annotations

import struct
from typing import Any

from reproof.compare.pickles.folded import Array, Arrow, Dtype, Frame, Thing
from reproof.compare.pickles.folding import Folder
from reproof.compare.pickles.nodes import Extension, Global, Mapping, OutOfBand, Persistent, Raw, Sequence
from reproof.compare.protocol import ContentError, LimitError

_MAX_STEPS = 500_000


class Values:
    """Digests of the nodes of one tree; equal digests mean equal values."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._known: dict[int, tuple[Any, bytes]] = {}  # with the node, so that its id stays its own
        self._steps = 0

    def key(self, node: Any) -> tuple[str, Any]:
        """Something hashable that is equal for equal values only.

        Raises:
            ContentError: The value contains itself.
        """
        kind = type(node)
        if kind is float:
            return "float", struct.pack("<d", node)
        if kind in (str, int, bool) or node is None:
            return kind.__name__, node
        return "node", self._digest(node)

    def _digest(self, root: Any) -> bytes:
        """Digest of the members first, then of their container, on a stack of our own."""
        root = self._folder.fold(root)
        stack: list[tuple[Any, list[Any] | None]] = [(root, None)]
        open_nodes: set[int] = set()
        while stack:
            self._steps += 1
            if self._steps > _MAX_STEPS:
                raise LimitError("the members of sets hold more values than the limits allow")
            node, members = stack.pop()
            if id(node) in self._known:
                continue
            if members is None:
                if id(node) in open_nodes:
                    raise ContentError("a member of a set contains itself")
                members = [self._folder.fold(member) for member in _members(node)]
                open_nodes.add(id(node))
                stack.append((node, members))
                stack.extend((member, None) for member in members if not _is_plain(member))
                continue
            open_nodes.discard(id(node))
            self._known[id(node)] = (node, self._close(node, members))
        return self._known[id(root)][1]

    def _close(self, node: Any, members: list[Any]) -> bytes:
        import blake3

        known = self._known
        parts = [_plain(member) if _is_plain(member) else known[id(member)][1] for member in members]
        if isinstance(node, Sequence) and node.kind in ("set", "frozenset"):
            parts.sort()
        if isinstance(node, Mapping):
            parts = sorted(_framed(parts[at : at + 2]) for at in range(0, len(parts), 2))
        return blake3.blake3(_head(node) + b":" + _framed(parts)).digest()


def _framed(parts: list[bytes]) -> bytes:
    """The parts with their lengths, so that no two lists of parts look the same."""
    return b"".join([piece for part in parts for piece in (b"%d:" % len(part), part)])


def _is_plain(value: Any) -> bool:
    return value is None or type(value) in (str, int, bool, float)


def _plain(value: Any) -> bytes:
    if type(value) is float:
        return b"float:" + struct.pack("<d", value)
    if type(value) is int:
        return b"int:" + hex(value).encode()
    return f"{type(value).__name__}:{value}".encode("utf-8", "surrogatepass")


def _head(node: Any) -> bytes:
    """What a node is without its members."""
    if isinstance(node, Global):
        return b"global:" + node.path.encode("utf-8", "surrogatepass")
    if isinstance(node, Raw):
        return node.kind.encode() + b":" + bytes(node.data)
    if isinstance(node, Sequence):
        return b"sequence:" + node.kind.encode()
    if isinstance(node, Extension):
        return b"extension:%d" % node.code
    if isinstance(node, Dtype):
        return b"dtype:" + repr(node.layout).encode()
    if isinstance(node, Array) and node.tensor is not None:
        tensor = node.tensor
        layout = str(tensor.layout.descr if tensor.layout is not None else "")
        head = f"array:{node.owner}:{tensor.text}:{layout}:{tensor.order}:"
        return head.encode() + bytes(memoryview(tensor.data).cast("B"))
    if isinstance(node, Array):
        return f"objects:{node.owner}:{node.shape}".encode()
    if isinstance(node, Thing):
        return f"thing:{node.kind}".encode()
    if isinstance(node, OutOfBand):
        raise ContentError("a buffer is kept outside of the pickle")
    return type(node).__name__.encode()


def _members(node: Any) -> list[Any]:
    if isinstance(node, Sequence):
        return node.items
    if isinstance(node, Mapping):
        return [each for pair in node.pairs for each in pair]
    if isinstance(node, Persistent):
        return [node.key]
    if isinstance(node, Array):
        return [*(node.items or []), *[each for pair in sorted(node.extra.items()) for each in pair]]
    if isinstance(node, Arrow):
        buffers = [Raw("bytes", bytes(part)) if part is not None else None
                   for part in (node.valid, node.offsets, node.values)]  # fmt: skip
        return [node.type, node.length, *buffers]
    if isinstance(node, Frame):
        return [*node.axes, *[each for column in node.columns.items() for each in column]]
    if isinstance(node, Thing):
        return _members_of_thing(node)
    return []


def _members_of_thing(node: Thing) -> list[Any]:
    found = [node.owner, len(node.arguments), *node.arguments, node.keywords]
    for names in (node.attributes, node.slots):
        found.append(len(names) if names is not None else None)
        found += [each for name in sorted(names or ()) for each in (name, (names or {})[name])]
    found += [len(node.states), *node.states, len(node.items or ()), *(node.items or ())]
    found += [each for pair in node.pairs or () for each in pair]
    return found + (node.effects or [])
