"""A PDF file as a graph of objects, read from front to back and checked against its own tables.

Cross-reference tables are not needed for reading; but where they do not fit what is there, other
readers would see another file, so that is an error. Format: ISO 32000-1, 7.5.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from typing import Any

from reproof.compare.pdf_values import Name, Reading, Reference
from reproof.compare.png_filters import unfilter
from reproof.compare.protocol import ContentError, Context, LimitError

_HEADER = re.compile(rb"%PDF-([0-9]\.[0-9])(?=[\r\n])")
_ENTRY = re.compile(rb"([0-9]{10}) ([0-9]{5}) ([fn])(?: \r| \n|\r\n)")
_SECTION = re.compile(rb"[\0\t\n\f\r ]*([0-9]{1,10}) ([0-9]{1,10})[ \t]*(?:\r\n|\r|\n)")
_END_OF_STREAM = re.compile(rb"(?:\r\n|\r|\n)?endstream(?![A-Za-z0-9])")
_NUMBER_OBJECT = re.compile(
    rb"(?<![0-9])([0-9]{1,10}) ([0-9]{1,5}) obj[\0\t\n\f\r ]{1,9}([0-9]{1,12})[\0\t\n\f\r ]{1,9}endobj"
)
_CHUNK = 1 << 20
#: Number, kind (0 free, 1 at an offset, 2 in an object stream), place, generation or index.
Entry = tuple[int, int, int, int]

_OF_STREAMS = {"Length", "Filter", "DecodeParms", "W", "Index", "Type"}


@dataclass(frozen=True)
class Stream:
    """A stream: its dictionary, and its data as they lie in the file."""

    facts: dict[str, Any]
    raw: bytes = field(repr=False)


@dataclass
class Pdf:
    """What a file holds.

    Attributes:
        version: Of the format, as the first line says it.
        objects: The values of the indirect objects that the newest tables name.
        trailer: Root, Info and further entries of the newest trailer.
        earlier: Older trailers.
        texts: The bytes of each object in the file.
        tables: All cross-reference tables, the newest first.
        structural: Objects that only serve the file's structure: lengths, tables, object streams.
        unnamed: The bytes of objects that no table names any more.
    """

    version: str
    objects: dict[Reference, Any] = field(default_factory=dict)
    trailer: dict[str, Any] = field(default_factory=dict)
    earlier: list[dict[str, Any]] = field(default_factory=list)
    texts: dict[Reference, bytes] = field(default_factory=dict)
    tables: list[list[Entry]] = field(default_factory=list)
    structural: set[Reference] = field(default_factory=set)
    unnamed: list[bytes] = field(default_factory=list)

    def resolved(self, value: Any) -> Any:
        """`value`, or what it refers to; None for a reference to nothing.

        Raises:
            ContentError: References go round in a circle.
        """
        steps = 0
        while isinstance(value, Reference):
            value = self.objects.get(value)
            steps += 1
            if steps > 32:
                raise ContentError("references go round in a circle")
        return value


def read_pdf(data: bytes, context: Context) -> Pdf:
    """Read a whole file.

    Raises:
        ContentError: No PDF, damaged, encrypted, or its tables do not fit.
        LimitError: It has too many objects, or decompression yields too much.
    """
    match = _HEADER.match(data)
    if match is None:
        raise ContentError("it does not begin like a PDF file")
    scan = _Scan(data, Pdf(match[1].decode()), context)
    scan.run()
    return scan.pdf


def decoded(stream: Stream, pdf: Pdf, context: Context) -> bytes | None:
    """The data of a stream without compression; None where the filter is not known here.

    Raises:
        ContentError: The data are damaged.
        LimitError: They are too many.
    """
    filters = pdf.resolved(stream.facts.get("Filter"))
    filters = filters if isinstance(filters, list) else [] if filters is None else [filters]
    if not filters:
        return stream.raw
    if [str(pdf.resolved(each)) for each in filters] != ["FlateDecode"]:
        return None
    parms = pdf.resolved(stream.facts.get("DecodeParms"))
    parms = pdf.resolved(parms[0]) if isinstance(parms, list) and len(parms) == 1 else parms
    return _predicted(_inflated(stream.raw, context), parms if isinstance(parms, dict) else {})


@dataclass
class _Section:
    """One cross-reference table with its trailer."""

    trailer: dict[str, Any]
    entries: list[Entry]


class _Scan:
    """Goes through a file object by object."""

    def __init__(self, data: bytes, pdf: Pdf, context: Context) -> None:
        self.pdf = pdf
        self._context = context
        self._data = data
        self._reading = Reading(data, 8)
        self._written: dict[int, tuple[Reference, Any, bytes]] = {}
        self._packed: dict[tuple[int, int], tuple[int, Any, bytes]] = {}
        self._sections: dict[int, _Section] = {}
        self._lengths: list[tuple[Reference, int]] = []
        self._numbers: dict[Reference, list[int]] = {}
        self._start = -1

    def run(self) -> None:
        """Read the file from its beginning to its end, into `pdf`."""
        reading = self._reading
        while not reading.at_end():
            place = reading.position
            value = reading.value()
            if type(value) is int:
                self._object(place, value)
            elif value == "xref":
                self._sections[place] = self._table()
            elif value == "startxref":
                self._start = reading.integer()
            else:
                raise reading.broken()
        self._finish()

    def _object(self, place: int, number: int) -> None:
        reading = self._reading
        self._context.spending.visit()
        reference = Reference(number, reading.integer())
        reading.word("obj")
        value = reading.value()
        if reading.word("stream", "endobj") == "stream":
            if not isinstance(value, dict):
                raise reading.broken()
            value = Stream(value, self._stream_data(value))
            reading.word("endobj")
        self._written[place] = reference, value, self._data[place : reading.position]
        if isinstance(value, Stream) and is_name(value.facts.get("Type"), "XRef"):
            trailer = {key: each for key, each in value.facts.items() if key not in _OF_STREAMS}
            self._sections[place] = _Section(trailer, self._stream_table(value))
            self.pdf.structural.add(reference)

    def _stream_data(self, facts: dict[str, Any]) -> bytes:
        reading = self._reading
        for mark in (b"\r\n", b"\n"):
            if self._data.startswith(mark, reading.position):
                start = reading.position + len(mark)
                break
        else:
            raise reading.broken()
        length = facts.get("Length")
        for each in self._lengths_of(length) if isinstance(length, Reference) else [length]:
            if type(each) is not int or not 0 <= each <= len(self._data) - start:
                continue
            match = _END_OF_STREAM.match(self._data, start + each)
            if match:
                if isinstance(length, Reference):
                    self._lengths.append((length, each))
                    self.pdf.structural.add(length)
                reading.position = match.end()
                return self._data[start : start + each]
        raise ContentError("a stream has no valid length")

    def _lengths_of(self, reference: Reference) -> list[int]:
        """What a length that stands in an object of its own may be; most often it stands behind the stream."""
        if not self._numbers:
            for match in _NUMBER_OBJECT.finditer(self._data):
                key = Reference(int(match[1]), int(match[2]))
                self._numbers.setdefault(key, []).append(int(match[3]))
        return self._numbers.get(reference, [])[:8]

    def _table(self) -> _Section:
        """A cross-reference table and its trailer."""
        reading = self._reading
        entries: list[Entry] = []
        while match := _SECTION.match(self._data, reading.position):
            first, count = int(match[1]), int(match[2])
            reading.position = match.end()
            if count * 20 > len(self._data):
                raise reading.broken()
            for number in range(first, first + count):
                entry = _ENTRY.match(self._data, reading.position)
                if entry is None:
                    raise reading.broken()
                reading.position = entry.end()
                entries.append((number, int(entry[3] == b"n"), int(entry[1]), int(entry[2])))
        reading.word("trailer")
        trailer = reading.value()
        if not isinstance(trailer, dict):
            raise reading.broken()
        return _Section(trailer, entries)

    def _stream_table(self, stream: Stream) -> list[Entry]:
        """The entries of a cross-reference stream."""
        data = decoded(stream, self.pdf, self._context)
        widths = _whole_numbers(stream.facts.get("W"))
        index = _whole_numbers(stream.facts.get("Index", [0, stream.facts.get("Size")]))
        row = sum(widths)
        if data is None or len(widths) != 3 or not 0 < row <= 24 or sum(index[1::2]) * row != len(data):
            raise ContentError("a cross-reference stream is damaged")
        entries = []
        place = 0
        for first, count in zip(index[::2], index[1::2], strict=False):
            for number in range(first, first + count):
                cells = []
                for width in widths:
                    cells.append(int.from_bytes(data[place : place + width], "big"))
                    place += width
                entries.append((number, cells[0] if widths[0] else 1, cells[1], cells[2]))
        return entries

    def _finish(self) -> None:
        """Take as objects what the tables name, the newest table first."""
        chain = self._chain()
        if any("Encrypt" in section.trailer for section in chain):
            raise ContentError("it is encrypted")
        self.pdf.trailer = chain[0].trailer
        self.pdf.earlier = [section.trailer for section in chain[1:]]
        self.pdf.tables = [section.entries for section in chain]
        named: dict[int, Entry] = {}
        for section in chain:
            for entry in section.entries:
                named.setdefault(entry[0], entry)
        used = {self._take(entry) for entry in named.values() if entry[1] == 1}
        self.pdf.unnamed = [text for place, (_, _, text) in self._written.items() if place not in used]
        for reference, length in self._lengths:
            if self.pdf.objects.get(reference) != length:
                raise ContentError("the length of a stream is ambiguous")
        for reference, value in list(self.pdf.objects.items()):
            if isinstance(value, Stream) and is_name(value.facts.get("Type"), "ObjStm"):
                self._unpack(reference, value)
        packed = {self._take_packed(entry) for entry in named.values() if entry[1] == 2}
        self.pdf.unnamed += [text for key, (_, _, text) in self._packed.items() if key not in packed]

    def _chain(self) -> list[_Section]:
        """The tables from the newest to the oldest."""
        places: list[int] = []
        place: Any = self._start
        while place is not None:
            trailer = self._sections[place].trailer if place in self._sections else None
            if trailer is None or place in places:
                raise ContentError("the place of a cross-reference table is wrong")
            places.append(place)
            if trailer.get("XRefStm") in self._sections:
                places.append(trailer["XRefStm"])
            place = trailer.get("Prev")
        if len(places) != len(self._sections):
            raise ContentError("it has a cross-reference table that nothing refers to")
        return [self._sections[place] for place in places]

    def _take(self, entry: Entry) -> int:
        number, _, place, generation = entry
        reference, value, text = self._written.get(place, (None, None, b""))
        if reference != (number, generation):
            raise ContentError(f"the cross-reference table is wrong about object {number}")
        self.pdf.objects[Reference(number, generation)] = value
        self.pdf.texts[Reference(number, generation)] = text
        return place

    def _take_packed(self, entry: Entry) -> tuple[int, int]:
        number, _, holder, index = entry
        found, value, text = self._packed.get((holder, index), (None, None, b""))
        if found != number:
            raise ContentError(f"the cross-reference table is wrong about object {number}")
        self.pdf.objects[Reference(number, 0)] = value
        self.pdf.texts[Reference(number, 0)] = text
        return holder, index

    def _unpack(self, holder: Reference, stream: Stream) -> None:
        """The objects within an object stream."""
        self.pdf.structural.add(holder)
        data = decoded(stream, self.pdf, self._context)
        count, first = self.pdf.resolved(stream.facts.get("N")), self.pdf.resolved(stream.facts.get("First"))
        if data is None or type(count) is not int or type(first) is not int or not 0 <= count <= len(data):
            raise ContentError("an object stream is damaged")
        self._context.spending.visit(count)
        head = Reading(data, 0, min(max(first, 0), len(data)))
        pairs = [(head.integer(), head.integer()) for _ in range(count)]
        ends = [first + offset for _, offset in pairs[1:]] + [len(data)]
        for index, ((number, offset), end) in enumerate(zip(pairs, ends, strict=True)):
            if not 0 <= first + offset <= end <= len(data):
                raise ContentError("an object stream is damaged")
            inner = Reading(data, first + offset, end)
            inner.count = self._reading.count
            value = inner.value()
            self._reading.count = inner.count  # the limit is for all values of the file together
            self._packed[holder.number, index] = number, value, data[first + offset : end]


def _whole_numbers(value: Any) -> list[int]:
    """A list of small whole numbers; empty for anything else."""
    if isinstance(value, list) and all(type(each) is int and 0 <= each < 1 << 31 for each in value):
        return value
    return []


def _inflated(raw: bytes, context: Context) -> bytes:
    inflater = zlib.decompressobj()
    found = bytearray()
    waiting = raw
    try:
        while not inflater.eof:
            part = inflater.decompress(waiting, _CHUNK)
            waiting = inflater.unconsumed_tail
            if not part and not waiting and not inflater.eof:
                raise ContentError("a compressed stream is cut off")
            context.spending.expand(len(part))
            found += part
            if len(found) > 2 * context.limits.max_bytes_in_memory:
                raise LimitError("a stream is too large")
    except zlib.error as error:
        raise ContentError(f"a compressed stream is damaged: {error}") from None
    if inflater.unused_data.strip(b"\r\n"):
        raise ContentError("bytes stand behind a compressed stream")
    return bytes(found)


def _predicted(data: bytes, parms: dict[str, Any]) -> bytes:
    """Undo the predictors of PNG; others are not known here."""
    predictor = parms.get("Predictor", 1)
    if predictor == 1:
        return data
    colours, bits, columns = (
        parms.get(key, default) for key, default in (("Colors", 1), ("BitsPerComponent", 8), ("Columns", 1))
    )
    if not all(
        type(each) is int and 0 < each < 1 << 20 for each in (colours, bits, columns)
    ) or predictor not in range(10, 16):
        raise ContentError("a stream is predicted in a way that is not known")
    import numpy as np

    width, row = max(1, colours * bits // 8), (colours * bits * columns + 7) // 8
    if len(data) % (row + 1) or row % width:
        raise ContentError("a stream has other data than its rows need")
    rows = np.frombuffer(data, np.uint8).reshape(-1, row + 1)
    pieces = []
    previous = np.zeros(row, np.uint8)
    for start in range(0, len(rows), 1024):
        done = unfilter(rows[start : start + 1024], width, previous)
        previous = done[-1]
        pieces.append(done.tobytes())
    return b"".join(pieces)


def is_name(value: Any, name: str) -> bool:
    """Whether `value` is the name object `name`."""
    return isinstance(value, Name) and str(value) == name
