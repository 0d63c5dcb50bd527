"""Reading delimited text in blocks of whole records; memory stays bounded whatever the file.

Text is handled as bytes in the guise of latin-1: every file can be read, and cells are compared
exactly. The dialect is RFC 4180 with any of four delimiters; what does not follow it (a quote within
an unquoted cell, text behind a closing quote) is :class:`NotTabular`.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass

from reproof.compare.protocol import ContentError, LimitError, Source

DELIMITERS = ",;\t|"
_CHUNK = 1 << 20
_MAX_RECORD = 16 << 20
_SAMPLE = 200  # records by which the delimiter is chosen
_ENDS = re.compile(r"(\r\n|\n|\r)")
_FIELDS = {mark: re.compile(f'"([^"]*(?:""[^"]*)*)"|([^"{re.escape(mark)}]*)') for mark in DELIMITERS}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

#: A cell: its text, or None for one that is empty and quoted, which some readers tell from an empty one.
Cell = str | None


class NotTabular(ContentError):  # noqa: N818  # it is about the text, not an error of ours
    """The text does not follow the rules of delimited text."""


@dataclass
class Endings:
    """How often each line ending occurred: CRLF, LF alone, CR alone."""

    crlf: int = 0
    lf: int = 0
    cr: int = 0

    def count(self, text: str) -> None:
        """Add those of `text`."""
        crlf = text.count("\r\n")
        self.crlf += crlf
        self.lf += text.count("\n") - crlf
        self.cr += text.count("\r") - crlf

    def differ(self, other: Endings) -> bool:
        """Whether other kinds of endings were used, or a mix of them in other proportions."""
        one, two = (self.crlf, self.lf, self.cr), (other.crlf, other.lf, other.cr)
        kinds = tuple(map(bool, one)), tuple(map(bool, two))
        if kinds[0] != kinds[1]:
            return any(one) and any(two)
        return sum(kinds[0]) > 1 and one != two


class Records:
    """The records of one file, block by block."""

    def __init__(self, source: Source) -> None:
        """Open `source`; :meth:`close` closes it."""
        head = source.head(3)
        self.encoding, skip = next(
            ((name, len(mark)) for mark, name in _MARKS if head.startswith(mark)), ("", 0)
        )
        self.ends_with_newline = True
        self._file = source.open()
        self._file.seek(skip)
        self._decoder = (
            codecs.getincrementaldecoder(self.encoding)() if self.encoding.startswith("utf-16") else None
        )
        self._rest = ""
        self._ended = False

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def block(self) -> str | None:
        """The next records with their endings, about a MiB; None at the end.

        Raises:
            LimitError: A record (or a quoted cell that never ends) is too large.
            NotTabular: UTF-16 that is damaged.
        """
        while not self._ended:
            chunk = self._read()
            self._rest += chunk
            if self._ended:
                break
            cut = _cut(self._rest)
            if cut:
                block, self._rest = self._rest[:cut], self._rest[cut:]
                return block
            if len(self._rest) > _MAX_RECORD:
                raise LimitError(f"a record has more than the limit of {_MAX_RECORD:,} bytes")
        block, self._rest = self._rest, ""
        if block:
            self.ends_with_newline = block.endswith(("\n", "\r"))
        return block or None

    def _read(self) -> str:
        data = self._file.read(_CHUNK)
        self._ended = not data
        if self._decoder is None:
            return data.decode("latin-1")
        try:
            return self._decoder.decode(data, final=not data).encode().decode("latin-1")
        except UnicodeError as error:
            raise NotTabular(f"damaged UTF-16: {error}") from None


def split_records(block: str) -> list[str]:
    """The records of a block without their endings; those within quotes do not end a record."""
    if '"' not in block:
        if "\r" in block:
            block = block.replace("\r\n", "\n").replace("\r", "\n")
        lines = block.split("\n")
        if not lines[-1]:
            lines.pop()
        return lines
    records: list[str] = []
    pieces = _ENDS.split(block)
    pending: list[str] = []
    quotes = 0
    for number in range(0, len(pieces), 2):
        line = pieces[number]
        quotes += line.count('"')
        pending.append(line)
        if quotes % 2 == 0:
            records.append("".join(pending) if len(pending) > 1 else line)
            pending.clear()
            quotes = 0
        elif number + 1 < len(pieces):
            pending.append(pieces[number + 1])
    if pending:
        records.append("".join(pending))
    elif not records[-1]:
        records.pop()
    return records


def count_records(block: str) -> int:
    """How many records a block has."""
    if '"' in block or "\r" in block:
        return len(split_records(block))
    return block.count("\n") + (not block.endswith("\n"))


def split_cells(record: str, delimiter: str) -> Sequence[Cell]:
    """The cells of a record.

    Raises:
        NotTabular: It does not follow the rules of quoting.
    """
    if '"' not in record:
        return record.split(delimiter)
    cells: list[Cell] = []
    field = _FIELDS[delimiter]
    position, end = 0, len(record)
    while True:
        match = field.match(record, position)
        if match is None:
            raise NotTabular("a quoted cell has no end")
        quoted, plain = match.groups()
        cells.append(plain if quoted is None else quoted.replace('""', '"') or None)
        position = match.end()
        if position == end:
            return cells
        if record[position] != delimiter:
            raise NotTabular("a quote stands within a cell")
        position += 1


def choose_delimiters(blocks: tuple[str | None, str | None], name: str) -> tuple[str, str]:
    """The delimiters of two files, from their first blocks.

    The one that splits most records into the same number of cells, two at least; then the one that
    yields most cells; then the order comma, semicolon, tab, pipe. One that fits both files without
    exception is preferred. Where none fits, the name decides: tab for ``.tsv`` and ``.tab``, pipe
    for ``.psv``, else comma.
    """
    scores = [_scores(block) for block in blocks]
    usual = "\t" if name.endswith((".tsv", ".tab")) else "|" if name.endswith(".psv") else ","
    best = [max(DELIMITERS, key=score.__getitem__) for score in scores]
    chosen = [mark if score[mark][0] >= 0.5 else None for mark, score in zip(best, scores, strict=True)]
    if chosen[0] != chosen[1]:
        both = [
            mark
            for mark in DELIMITERS
            if all(not block or score[mark][0] == 1.0 for block, score in zip(blocks, scores, strict=True))
        ]
        if both and any(blocks):
            return both[0], both[0]
    first = chosen[0] or chosen[1] or usual
    return first, chosen[1] or first


def _scores(block: str | None) -> dict[str, tuple[float, int]]:
    """For each delimiter the share of records with the usual number of cells, and that number."""
    text = (block or "")[: _CHUNK // 4]
    whole = split_records(text) if text else []
    if len(text) < len(block or ""):
        whole.pop()
    records = [record for record in whole[:_SAMPLE] if record]
    found: dict[str, tuple[float, int]] = {}
    for mark in DELIMITERS:
        counts: dict[int, int] = {}
        for record in records:
            try:
                width = len(split_cells(record, mark))
            except NotTabular:
                width = 0
            counts[width] = counts.get(width, 0) + 1
        share, usual = max(((count, width) for width, count in counts.items()), default=(0, 0))
        found[mark] = (share / len(records), usual) if usual > 1 else (0.0, 0)
    return found


def _cut(text: str) -> int:
    """Where the last whole record ends; 0 where none does."""
    ending = "\n" if "\n" in text else "\r"
    # a CR at the very end may be half of a CRLF
    position = text.rfind(ending, 0, len(text) - (ending == "\r")) + 1
    if not position or '"' not in text:
        return position
    quotes = text.count('"', 0, position)
    while quotes % 2 and position:
        before = text.rfind(ending, 0, text.rfind('"', 0, position)) + 1
        quotes -= text.count('"', before, position)
        position = before
    return position
