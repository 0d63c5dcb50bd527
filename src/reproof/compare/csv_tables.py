"""CSV and its kin: cell by cell, in bounded memory, with quoting and line endings set aside by name."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field

from msgspec.structs import replace

from reproof.compare.csv_cells import CellColumn, is_numeral, show
from reproof.compare.csv_reading import (
    Cell,
    Endings,
    NotTabular,
    Records,
    choose_delimiters,
    count_records,
    split_cells,
    split_records,
)
from reproof.compare.protocol import Context, Source
from reproof.compare.tables import Column, Findings, changed_part, compare_names
from reproof.compare.text import TextComparator, looks_like_text
from reproof.model.difference import Difference

_SUFFIXES = (".csv", ".tsv", ".tab", ".psv")
_MAX_COLUMNS = 100_000
_MAX_KNOWN_ROWS = 500_000
_MODULUS = 1 << 128
_WORDS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}


class CsvComparator:
    """Text tables: comma, semicolon, tab or pipe, found from the content and stated.

    Quoting, line endings, encoding mark and the notation of numbers are set aside by name; row order,
    column order and the delimiter are not. What is no table is compared as text.
    """

    name = "csv"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Text that is called so."""
        return all(
            side.name.lower().endswith(_SUFFIXES) and looks_like_text(side.head(8192))
            for side in (expected, actual)
        )

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Children: ``columns``, ``rows``, and each column that differs with its first differing cells.

        Raises:
            LimitError: A record is too large.
        """
        try:
            with closing(Records(expected)) as left, closing(Records(actual)) as right:
                return (
                    _Comparison(left, right, context).run(expected.name.lower()).difference(subject, context)
                )
        except NotTabular as problem:
            found = TextComparator().compare(expected, actual, subject, context)
            return replace(found, kind=self.name, summary=f"no table ({problem}); as text: {found.summary}")


@dataclass
class _Side:
    """One file while it is read: what remains of its last block, and where its columns are."""

    records: Records
    delimiter: str = ","
    columns: list[int] | None = None
    pending: Sequence[str] = ()
    position: int = 0
    rows: int = 0
    endings: Endings = field(default_factory=Endings)

    @property
    def waiting(self) -> int:
        """Records that were loaded and not yet compared."""
        return len(self.pending) - self.position

    def load(self, block: str | None) -> None:
        """Take the records of a block; nothing may be waiting."""
        self.pending = split_records(block) if block else ()
        self.position = 0
        self.endings.count(block or "")

    def cells(self, record: str) -> Sequence[Cell]:
        """The cells of a record; where the columns are others, those that both files have, in one order."""
        cells = split_cells(record, self.delimiter)
        if self.columns is None:
            return cells
        return [cells[index] if index < len(cells) else "" for index in self.columns]


class _Comparison:
    """Goes through two files in step; only what differs is taken apart."""

    def __init__(self, left: Records, right: Records, context: Context) -> None:
        self._sides = _Side(left), _Side(right)
        self._context = context
        self._found = Findings("csv")
        self._columns: dict[int, CellColumn] = {}
        self._header: list[str] = []
        self._sums = [0, 0]
        self._net: dict[int, int] | None = {}
        self._is_plain = True  # equal text means equal cells
        self._is_same = True  # no block differed
        self._quoting = False

    def run(self, name: str) -> Findings:
        """Compare everything."""
        blocks = [side.records.block() for side in self._sides]
        self._begin((blocks[0], blocks[1]), name)
        while True:
            self._context.spending.check_time()
            self._pairs()
            for number, side in enumerate(self._sides):
                if not side.waiting:
                    blocks[number] = side.records.block()
            if self._is_plain and not any(side.waiting for side in self._sides) and blocks[0] == blocks[1]:
                if blocks[0] is None:
                    break
                count = count_records(blocks[0])
                for side in self._sides:
                    side.rows += count
                continue
            self._is_same = False
            for side, block in zip(self._sides, blocks, strict=True):
                if not side.waiting:
                    side.load(block)
            if not all(side.waiting for side in self._sides):
                self._one_sided()
                break
        return self._finish()

    def _begin(self, blocks: tuple[str | None, str | None], name: str) -> None:
        """Find delimiters and headers from the first blocks."""
        delimiters = choose_delimiters(blocks, name)
        self._is_same = blocks[0] == blocks[1]
        for side, block, delimiter in zip(self._sides, blocks, delimiters, strict=True):
            side.delimiter = delimiter
            side.load(block)
        self._found.evidence["delimiter"] = _WORDS[delimiters[0]]
        if delimiters[0] != delimiters[1]:
            self._is_plain = False
            words = f"is {_WORDS[delimiters[1]]}, was {_WORDS[delimiters[0]]}"
            self._found.schema.append(changed_part("delimiter", words, *delimiters))
        first = [side.cells(side.pending[0]) if side.waiting else None for side in self._sides]
        self._found.evidence["header"] = all(cells is not None and _is_header(cells) for cells in first)
        if self._found.evidence["header"]:
            self._compare_headers([[cell or "" for cell in cells or ()] for cells in first])

    def _compare_headers(self, headers: list[list[str]]) -> None:
        if self._sides[0].pending[0] != self._sides[1].pending[0] and headers[0] == headers[1]:
            self._quoting = True
        for side in self._sides:
            side.position = 1
        before, after = headers
        self._header = before
        self._found.evidence["columns"] = [len(before), len(after)]
        if before == after:
            return
        self._found.schema += compare_names([show(name) for name in before], [show(name) for name in after])
        common = [name for name in before if name in set(after)]
        if not common:
            return
        self._is_plain = False
        self._header = common
        for side, header in zip(self._sides, headers, strict=True):
            places = {name: place for place, name in enumerate(header)}
            side.columns = [places[name] for name in common]

    def _pairs(self) -> None:
        """Compare the rows that wait on both sides."""
        left, right = self._sides
        count = min(left.waiting, right.waiting)
        one = left.pending[left.position : left.position + count]
        two = right.pending[right.position : right.position + count]
        for number, (first, second) in enumerate(zip(one, two, strict=True), left.rows + 1):
            if first != second or not self._is_plain:
                self._row(number, first, second)
        for side in self._sides:
            side.position += count
            side.rows += count

    def _row(self, row: int, first: str, second: str) -> None:
        one, two = self._sides[0].cells(first), self._sides[1].cells(second)
        if one == two:
            self._quoting |= first != second and self._is_plain
            return
        differs = len(one) != len(two)
        self._found.ragged += differs
        for place, (expected, actual) in enumerate(zip(one, two, strict=False)):
            if expected != actual:
                differs |= self._cell(row, place, expected, actual)
        if differs:
            self._found.differing_rows += 1
            self._found.first_row = self._found.first_row or row
            self._digest(one, 0)
            self._digest(two, 1)

    def _cell(self, row: int, place: int, expected: Cell, actual: Cell) -> bool:
        column = self._columns.get(place)
        if column is None:
            if len(self._columns) >= _MAX_COLUMNS:
                raise NotTabular(f"more than {_MAX_COLUMNS:,} columns differ")
            known = place < len(self._header)
            name = show(self._header[place]) if known else str(place + 1)
            column = self._columns[place] = CellColumn(Column(name), self._context.tolerance)
        return column.add(row, expected, actual)

    def _digest(self, cells: Sequence[Cell], number: int) -> None:
        """Add a row to the sum of its side, and to the balance of both while that is small.

        Rows that are equal and in the same place would cancel out, so only the others are added. What
        depends on these sums is only how a difference is told, so Python's own hash will do.
        """
        digest = hash(tuple(cells))
        self._sums[number] = (self._sums[number] + digest) % _MODULUS
        if self._net is None:
            return
        balance = self._net.get(digest, 0) + (1, -1)[number]
        if balance:
            self._net[digest] = balance
            if len(self._net) > _MAX_KNOWN_ROWS:
                self._net = None
        else:
            del self._net[digest]

    def _one_sided(self) -> None:
        """Count the rows that only one side has left."""
        for number, side in enumerate(self._sides):
            while side.waiting:
                self._context.spending.check_time()
                for record in side.pending[side.position :]:
                    side.rows += 1
                    if self._net is not None:
                        self._digest(side.cells(record), number)
                side.load(side.records.block())

    def _finish(self) -> Findings:
        found, (left, right) = self._found, self._sides
        found.rows = left.rows, right.rows
        found.columns = [self._columns[place].finish() for place in sorted(self._columns)]
        if found.rows[0] != found.rows[1] and not found.first_row:
            found.first_row = min(found.rows) + 1
        if self._net is not None:
            balances = self._net.values()
            found.only = (
                sum(each for each in balances if each > 0),
                -sum(each for each in balances if each < 0),
            )
        elif self._sums[0] == self._sums[1] and left.rows == right.rows:
            found.only = (0, 0)
        found.names |= self._set_aside()
        return found

    def _set_aside(self) -> set[str]:
        left, right = self._sides
        told = {
            "quoting of cells": self._quoting,
            "notation of numbers": any(column.notations for column in self._columns.values()),
            "line endings": left.endings.differ(right.endings),
            "final newline": left.records.ends_with_newline != right.records.ends_with_newline,
            "text encoding": left.records.encoding != right.records.encoding,
        }
        names = {name for name, is_true in told.items() if is_true}
        if not names and not self._is_same and self._found.outcome == 0:
            names.add("line endings")  # as many of each kind, in other places
        return names


def _is_header(cells: Sequence[Cell]) -> bool:
    """Names rather than values: texts, none twice; the first may be empty (an index)."""
    names = [cell or "" for cell in cells]
    return any(names) and all(names[1:]) and len(set(names)) == len(names) and not any(map(is_numeral, names))
