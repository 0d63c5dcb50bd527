"""The skeleton of an HDF5 file: where objects are, what messages they carry, what groups hold.

Format: the HDF5 File Format Specification 3.0 (superblocks 0 to 3, object headers 1 and 2, symbol
tables, links within headers). Groups with so many members that the newest format keeps them in a
fractal heap are not read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from reproof.compare.protocol import ContentError, LimitError

MAGIC = b"\x89HDF\r\n\x1a\n"
UNDEFINED = (1 << 64) - 1
_MAX_PARTS = 500_000

SPACE, LINK_INFO, TYPE, LINK, LAYOUT = 0x01, 0x02, 0x03, 0x06, 0x08
FILTERS, ATTRIBUTE, CONTINUATION, SYMBOLS, MODIFIED, ATTRIBUTE_INFO = 0x0B, 0x0C, 0x10, 0x11, 0x12, 0x15


@dataclass(frozen=True)
class Message:
    """One message of an object's header: its type, its flags, its data."""

    kind: int
    flags: int
    data: memoryview


@dataclass(frozen=True)
class Link:
    """What a name in a group leads to: an object's address, or the text of another kind of link."""

    name: str
    address: int | None = None
    text: str = ""


class File:
    """An HDF5 file in a buffer; every read is checked against its size."""

    def __init__(self, view: memoryview) -> None:
        """Read the superblock.

        Raises:
            ContentError: It is no HDF5 file, or of a version that is not read here.
        """
        self.view = view
        self.heaps: dict[int, dict[int, memoryview]] = {}
        self.taken: list[tuple[int, int]] = [(0, 48)]
        self._nodes = 0
        if bytes(view[:8]) != MAGIC or len(view) < 48:
            raise ContentError("it does not begin like an HDF5 file")
        version = view[8]
        sizes, start = (
            ((13, 24 if version == 0 else 28) if version < 2 else (9, 12)) if version < 4 else (0, 0)
        )
        if not sizes or view[sizes] != 8 or view[sizes + 1] != 8:
            raise ContentError("an HDF5 file of an unusual version, or with unusual sizes")
        if self.u64(start) != 0:
            raise ContentError("an HDF5 file that begins within another")
        self.root = self.u64(start + 32 + 8) if version < 2 else self.u64(start + 24)

    def take(self, start: int, length: int) -> memoryview:
        """`length` bytes at `start`; raises ContentError when they are not there."""
        if start < 0 or length < 0 or start + length > len(self.view):
            raise ContentError("an address leads out of the HDF5 file")
        self.taken.append((start, start + length))
        return self.view[start : start + length]

    def places(self) -> list[tuple[int, int]]:
        """The stretches that were read, neighbours joined."""
        joined: list[tuple[int, int]] = []
        for start, end in sorted(self.taken):
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(joined[-1][1], end))
            else:
                joined.append((start, end))
        return joined

    def u64(self, at: int) -> int:
        """The number at `at`."""
        value: int = struct.unpack("<Q", self.take(at, 8))[0]
        return value

    def messages(self, address: int) -> list[Message]:
        """The messages of the object header at `address`.

        Raises:
            ContentError: There is none, or one of its messages is shared with other objects.
        """
        if bytes(self.take(address, 4)) == b"OHDR":
            found = list(_Header2(self, address).messages())
        else:
            found = list(self._messages1(address))
        if any(message.flags & 2 for message in found):
            raise ContentError("an object of HDF5 shares messages with others, which is not read here")
        return found

    def _messages1(self, address: int) -> Iterator[Message]:
        version, count, size = struct.unpack("<BxH4xI", self.take(address, 12))
        if version != 1:
            raise ContentError("an object header of HDF5 is damaged")
        blocks = [(address + 16, size)]
        left = count
        while blocks and left:
            start, length = blocks.pop(0)
            end = start + length
            while left and start + 8 <= end:
                kind, taken, flags = struct.unpack("<HHB", self.take(start, 5))
                data = self.take(start + 8, taken)
                start += 8 + taken
                left -= 1
                self.count()
                if kind == CONTINUATION:
                    blocks.append(struct.unpack("<QQ", data[:16]))
                elif kind:
                    yield Message(kind, flags, data)
        if left:
            raise ContentError("an object header of HDF5 is cut short")

    def count(self) -> None:
        """Note one more piece of the file; raises LimitError when there are too many."""
        self._nodes += 1
        if self._nodes > _MAX_PARTS:
            raise LimitError("the HDF5 file has too many parts")

    def links(self, messages: list[Message]) -> list[Link] | None:
        """The members of a group by its messages, in order of their names; None when it is no group.

        Raises:
            ContentError: They are kept in a way that is not read here, or are damaged.
        """
        found: list[Link] = []
        is_group = False
        for message in messages:
            if message.kind == SYMBOLS:
                is_group = True
                tree, heap = struct.unpack("<QQ", message.data[:16])
                found += self._symbols(tree, self._names(heap))
            elif message.kind == LINK:
                is_group = True
                found.append(_link(message.data))
            elif message.kind == LINK_INFO:
                is_group = True
                place = 2 + (8 if message.data[1] & 1 else 0)
                if struct.unpack_from("<Q", message.data, place)[0] != UNDEFINED:
                    raise ContentError(
                        "a group of HDF5 keeps its members in a fractal heap, which is not read here"
                    )
        return sorted(found, key=lambda link: link.name) if is_group else None

    def _names(self, heap: int) -> memoryview:
        """The data of a local heap, in which the names of a group are."""
        head = self.take(heap, 32)
        if bytes(head[:4]) != b"HEAP":
            raise ContentError("a local heap of HDF5 is damaged")
        size, _, place = struct.unpack("<QQQ", head[8:32])
        return self.take(place, size)

    def _symbols(self, tree: int, names: memoryview) -> Iterator[Link]:
        for place in self.leaves(tree, 0, 8):
            head = self.take(place.address, 8)
            if bytes(head[:4]) != b"SNOD":
                raise ContentError("a node of symbols of HDF5 is damaged")
            for number in range(struct.unpack("<H", head[6:8])[0]):
                self.count()
                entry = self.take(place.address + 8 + 40 * number, 40)
                name, address, cached = struct.unpack("<QQI", entry[:20])
                text = _terminated(names, name)
                if cached == 2:
                    yield Link(text, None, _terminated(names, struct.unpack("<I", entry[24:28])[0]))
                else:
                    yield Link(text, address)

    def leaves(self, address: int, kind: int, key_size: int) -> Iterator[Leaf]:
        """The lowest entries of a version 1 B-tree: 0 for groups, 1 for chunks of a dataset.

        Raises:
            ContentError: It is damaged, or its levels do not count down to 0.
        """
        pending: list[tuple[int, int | None]] = [(address, None)]
        while pending:
            place, level = pending.pop()
            head = self.take(place, 24)
            self.count()
            if bytes(head[:4]) != b"TREE" or head[4] != kind or (level is not None and head[5] != level):
                raise ContentError("a B-tree of HDF5 is damaged")
            used: int = struct.unpack("<H", head[6:8])[0]
            below = []
            for number in range(used):
                start = place + 24 + number * (key_size + 8)
                key, child = self.take(start, key_size), self.u64(start + key_size)
                if head[5] == 0:
                    self.count()
                    yield Leaf(bytes(key), child)
                else:
                    below.append((child, head[5] - 1))
            pending.extend(reversed(below))


@dataclass(frozen=True)
class Leaf:
    """An entry of a B-tree: its key and the address of what it is for."""

    key: bytes
    address: int


class _Header2:
    """An object header of version 2."""

    def __init__(self, file: File, address: int) -> None:
        self._file = file
        self._address = address
        self._flags = file.take(address + 4, 2)[1]

    def messages(self) -> Iterator[Message]:
        """The header's messages, those of its continuations behind it."""
        file, flags = self._file, self._flags
        start = self._address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = int.from_bytes(file.take(start, width), "little")
        blocks = [(start + width, size)]
        while blocks:
            start, length = blocks.pop(0)
            end = start + length
            head = 6 if flags & 4 else 4
            while start + head <= end:
                kind, taken, marks = struct.unpack("<BHB", file.take(start, 4))
                data = file.take(start + head, taken)
                start += head + taken
                file.count()
                if kind == CONTINUATION:
                    place, room = struct.unpack("<QQ", data[:16])
                    if bytes(file.take(place, 4)) != b"OCHK":
                        raise ContentError("an object header of HDF5 is damaged")
                    blocks.append((place + 4, room - 8))
                elif kind:
                    yield Message(kind, marks, data)


def _terminated(names: memoryview, start: int) -> str:
    if not 0 <= start < len(names):
        raise ContentError("a name of HDF5 is damaged")
    data = bytes(names[start : start + 4096])
    end = data.find(b"\0")
    if end < 0:
        raise ContentError("a name of HDF5 is too long")
    return data[:end].decode("utf-8", "surrogateescape")


def _link(data: memoryview) -> Link:
    """A link message: flags say which fields there are."""
    flags, at = data[1], 2
    kind = 0
    if flags & 8:
        kind, at = data[at], at + 1
    at += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
    width = 1 << (flags & 3)
    length = int.from_bytes(data[at : at + width], "little")
    at += width
    name = bytes(data[at : at + length]).decode("utf-8", "surrogateescape")
    rest = data[at + length :]
    if kind == 0:
        return Link(name, struct.unpack("<Q", rest[:8])[0])
    return Link(name, None, bytes(rest[2:]).decode("utf-8", "surrogateescape"))
