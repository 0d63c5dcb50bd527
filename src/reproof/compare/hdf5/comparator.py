"""The comparator for HDF5 files."""

from __future__ import annotations

import struct
from typing import Any

from reproof.compare.bytewise import equal_bytes
from reproof.compare.hdf5.structure import (
    ATTRIBUTE,
    ATTRIBUTE_INFO,
    FILTERS,
    LAYOUT,
    LINK,
    LINK_INFO,
    MAGIC,
    MODIFIED,
    SPACE,
    SYMBOLS,
    TYPE,
    UNDEFINED,
    File,
    Message,
)
from reproof.compare.hdf5.values import read_attribute, read_dataset
from reproof.compare.pickles.comparator import conclude
from reproof.compare.pickles.comparing import Sides
from reproof.compare.pickles.folding import Folder
from reproof.compare.pickles.nodes import Mapping, Raw, Sequence
from reproof.compare.protocol import ContentError, Context, LimitError, Source
from reproof.model.difference import Difference, Outcome

_MAX_OBJECTS = 100_000
_FILL = 0x05
_TIMES = {MODIFIED, 0x0E}
#: Messages that are read elsewhere, or that only say how the rest is kept.
_KNOWN = {
    SPACE,
    LINK_INFO,
    TYPE,
    LINK,
    LAYOUT,
    FILTERS,
    ATTRIBUTE,
    SYMBOLS,
    ATTRIBUTE_INFO,
    0x0A,
    0x16,
    *_TIMES,
}


class Hdf5Comparator:
    """HDF5: children are named by path: ``layers/dense/vars/0``, attributes behind an ``@``."""

    name = "hdf5"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Both begin with the mark of the format."""
        return all(side.head(8) == MAGIC for side in (expected, actual))

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Chunks, compression, times and free space are set aside."""
        with expected.view() as one, actual.view() as two:
            sides = Sides(context, (Folder(), Folder()), plain_keys=True)
            sides.shared = (set(), set())
            readers = [_Reader(view, context) for view in (one, two)]
            sides.compare(readers[0].read(), readers[1].read())
            if readers[0].times != readers[1].times:
                sides.names.add("times of HDF5 objects")
            elif readers[0].places != readers[1].places or len(one) != len(two):
                sides.names.add("layout of the HDF5 file")
            elif sides.parts.outcome <= Outcome.EQUIVALENT and not equal_bytes(expected, actual):
                reason = "its objects are the same and lie at the same places, but other bytes differ"
                sides.add((None, "text", "(structure)"), Outcome.UNKNOWN, reason, kind="hdf5",
                          evidence={"reason": reason})  # fmt: skip
            sides.finish()
            return conclude(sides, subject, self.name)


class _Reader:
    """Reads every object of one file into one mapping from paths."""

    def __init__(self, view: memoryview, context: Context) -> None:
        self._view = view
        self._context = context
        self._made = Mapping()
        self.times: list[bytes] = []
        self.places: list[tuple[int, int]] = []

    def read(self) -> Mapping:
        """Groups, datasets and attributes by their paths.

        Raises:
            ContentError: The file is damaged, or uses a part of the format that is not read here.
            LimitError: It has too many objects.
        """
        try:
            file = File(self._view)
            self._walk(file)
            self.places = file.places()
        except (struct.error, IndexError, KeyError):
            raise ContentError("the HDF5 file is damaged") from None
        return self._made

    def _walk(self, file: File) -> None:
        pending = [("", file.root)]
        seen: dict[int, str] = {}
        while pending:
            path, address = pending.pop()
            self._context.spending.check_time()
            if address in seen:
                self._keep(path, Sequence("tuple", ["the same object as", seen[address]]))
                continue
            seen[address] = path or "(root)"
            messages = file.messages(address)
            self._facts(file, path, messages)
            links = file.links(messages)
            if links is None:
                self._keep(path, read_dataset(file, messages, self._context))
                continue
            self._keep(f"{path}/", Sequence("list", []))
            for link in reversed(links):
                inner = f"{path}/{link.name}" if path else link.name
                if link.address is None:
                    self._keep(inner, Sequence("tuple", ["a link to", link.text]))
                else:
                    pending.append((inner, link.address))

    def _facts(self, file: File, path: str, messages: list[Message]) -> None:
        """Attributes, times, and messages that nothing else reads."""
        attributes = []
        for message in messages:
            if message.kind == ATTRIBUTE:
                attributes.append(read_attribute(file, message.data))
            elif message.kind in _TIMES:
                self.times.append(bytes(message.data))
            elif message.kind == ATTRIBUTE_INFO:
                self._check_dense(message.data)
            elif message.kind == _FILL:
                self._keep(f"{path}@(fill value)", Raw("bytes", _fill_value(bytes(message.data))))
            elif message.kind not in _KNOWN:
                self._keep(f"{path}@(message {message.kind:#04x})", Raw("bytes", message.data))
        for name, value in sorted(attributes, key=lambda pair: pair[0]):
            self._keep(f"{path}@{name}", value)

    @staticmethod
    def _check_dense(data: memoryview) -> None:
        place = 2 + (2 if data[1] & 1 else 0)
        if struct.unpack("<Q", data[place : place + 8])[0] != UNDEFINED:
            raise ContentError(
                "an object of HDF5 keeps its attributes in a fractal heap, which is not read here"
            )

    def _keep(self, path: str, node: Any) -> None:
        self._made.pairs.append((path, node))
        if len(self._made.pairs) > _MAX_OBJECTS:
            raise LimitError(f"it has more than {_MAX_OBJECTS:,} objects")


def _fill_value(data: bytes) -> bytes:
    """Whether there is a fill value and which, without when space is allocated and filled."""
    if data[:1] == b"\x02":
        return data[3:]
    if data[:1] == b"\x03":
        return bytes([data[1] >> 4]) + data[2:]
    return data
