"""What is said of two tables, whatever files they came from: schema, rows, columns, cells.

Rows are counted from 1, without a header; a cell is named ``row 17, column "rmse"``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from reproof.compare.collecting import Collector
from reproof.compare.elements import Distance
from reproof.compare.numbers import FAR
from reproof.compare.protocol import Context
from reproof.compare.special import shown
from reproof.model.difference import Difference, Outcome, combine

CELLS = 5  # differing cells that are shown for each column
_WIDTH = 120
_NAMES = 20


@dataclass
class Column:
    """What is known of one column of both tables.

    Attributes:
        name: As people read it.
        distance: The cells that differ.
        cells: The first of them: row, expected, actual.
        digests: Of the values of the whole column on both sides, where they were computed.
        extra: Further evidence.
    """

    name: str
    distance: Distance = field(default_factory=Distance)
    cells: list[tuple[int, str, str]] = field(default_factory=list)
    digests: tuple[str, str] | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def outcome(self) -> Outcome:
        """IDENTICAL, CLOSE or DIFFERENT."""
        if self.distance.outside:
            return Outcome.DIFFERENT
        return Outcome.CLOSE if self.distance.differing else Outcome.IDENTICAL

    def add_cell(self, row: int, expected: str, actual: str) -> None:
        """Keep a differing cell while there are few."""
        if len(self.cells) < CELLS:
            self.cells.append((row, clipped(expected), clipped(actual)))

    def difference(self, rows: int) -> Difference:
        """The node of this column; `rows` is the number of rows that were compared."""
        facts = self.distance.facts() | self.extra
        if self.digests:
            facts["digests"] = list(self.digests)
        words = f"{self.distance.differing:,} of {rows:,} cells differ"
        if "max_abs" in facts:
            words += f", by at most {facts['max_abs']:.3g}"
            if facts.get("max_ulp", FAR) < FAR:
                words += f" ({facts['max_ulp']:,} ulp)"
        if self.cells:
            words += f", first at row {self.cells[0][0]:,}"
            facts["first_row"] = self.cells[0][0]
        children = tuple(
            Difference(
                subject=cell_name(row, self.name),
                outcome=self.outcome,
                summary=f"{expected} -> {actual}",
                kind="cell",
                expected=expected,
                actual=actual,
            )
            for row, expected, actual in self.cells
        )
        return combine(column_name(self.name), children, kind="column", summary=words, evidence=facts)


@dataclass
class Findings:
    """What two tables have in common and what not.

    Attributes:
        kind: Of the file: ``csv``, ``parquet`` ...
        rows: Number of rows on both sides.
        columns: Columns that both have.
        schema: What differs in names, types and order of columns, each a part of its own.
        names: What was set aside.
        differing_rows: Rows that differ in at least one cell, by position.
        first_row: The first of them, 0 for none.
        only: Rows that only the expected and only the actual side has, wherever they stand; None
            where that is not known.
        ragged: Rows whose numbers of cells differ.
        evidence: Further facts.
    """

    kind: str
    rows: tuple[int, int] = (0, 0)
    columns: list[Column] = field(default_factory=list)
    schema: list[Difference] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    differing_rows: int = 0
    first_row: int = 0
    only: tuple[int, int] | None = None
    ragged: int = 0
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def outcome(self) -> Outcome:
        """The worst of all parts, without what was set aside."""
        if self.rows[0] != self.rows[1] or self.ragged:
            return Outcome.DIFFERENT
        cells = Outcome.worst(column.outcome for column in self.columns)
        return max(cells, Outcome.worst(part.outcome for part in self.schema))

    @property
    def is_moved(self) -> bool:
        """Whether rows that moved, came or went explain more than cells that changed."""
        moved = self.only is not None and sum(self.only) < self.differing_rows
        return moved and self.outcome is Outcome.DIFFERENT

    def difference(self, subject: str, context: Context) -> Difference:
        """The whole tree."""
        parts = Collector(context)
        if len(self.schema) > 0:
            parts.add(
                combine("columns", self.schema, kind="schema", summary="; ".join(_first_words(self.schema)))
            )
        words = self._row_words()
        if words:
            parts.add(self._rows_node(words))
        if not self.is_moved:
            both = min(self.rows)
            parts.extend(column.difference(both) for column in self.columns)
        evidence = {"rows": list(self.rows), **self.evidence}
        if self.differing_rows:
            evidence |= {"differing_rows": self.differing_rows, "first_row": self.first_row}
        names = tuple(sorted(self.names))
        return parts.difference(
            subject,
            kind=self.kind,
            summary=self._summary(words, names),
            canonicalised=names,
            evidence=evidence,
        )

    def _row_words(self) -> str:
        before, after = self.rows
        if self.is_moved and self.only == (0, 0):
            return "same rows, other order"
        words = f"row count {before:,} -> {after:,}" if before != after else ""
        if self.only is not None and (self.is_moved or before != after):
            gone, new = self.only
            told = f"{gone:,} gone, {new:,} new, the others are the same rows"
            words = f"{words}: {told}" if words else told
        if self.ragged:
            words = "; ".join(filter(None, (words, f"{self.ragged:,} rows have another number of cells")))
        return words

    def _rows_node(self, words: str) -> Difference:
        facts: dict[str, Any] = {"counts": list(self.rows)}
        if self.only is not None:
            facts |= {"only_expected": self.only[0], "only_actual": self.only[1]}
        if self.first_row:
            facts["first_row"] = self.first_row
        where = f", first at row {self.first_row:,}" if self.first_row else ""
        return Difference(
            subject="rows", outcome=Outcome.DIFFERENT, summary=f"{words}{where}", kind="rows", evidence=facts
        )

    def _summary(self, words: str, names: tuple[str, ...]) -> str:
        told = _first_words(self.schema)
        if words:
            told.append(words)
        changed = [column for column in self.columns if column.distance.differing]
        if changed and not self.is_moved:
            cells = sum(column.distance.differing for column in changed)
            told.append(f"{_counted(cells, 'cell differs', 'cells differ')} in {_columns(changed)}")
            first = min((column for column in changed if column.cells), key=_first_of, default=None)
            if first is not None:
                row, expected, actual = first.cells[0]
                told.append(f"first at {cell_name(row, first.name)}: {expected} -> {actual}")
        if not told:
            return f"same rows and columns, other {', '.join(names)}" if names else "same rows and columns"
        return "; ".join(told)


def cell_name(row: int, column: str) -> str:
    """``row 17, column "rmse"``."""
    return f"row {row:,}, {column_name(column)}"


def column_name(name: str) -> str:
    """``column "rmse"``."""
    return f'column "{clipped(name)}"'


def clipped(text: str) -> str:
    """`text` on one line, printable, and not too long."""
    plain = shown(text[: 2 * _WIDTH])
    return plain if len(plain) <= _WIDTH and len(text) <= 2 * _WIDTH else plain[: _WIDTH - 1] + "…"


def changed_part(
    subject: str,
    summary: str,
    expected: str | None = None,
    actual: str | None = None,
    outcome: Outcome = Outcome.DIFFERENT,
) -> Difference:
    """A part of the schema that differs, or a column that cannot be compared."""
    return Difference(
        subject=subject, outcome=outcome, summary=summary, kind="schema", expected=expected, actual=actual
    )


def compare_names(expected: list[str], actual: list[str]) -> list[Difference]:
    """What differs between the names of the columns, without repetitions, of two tables."""
    before, after = set(expected), set(actual)
    parts = [changed_part(column_name(name), "is gone") for name in expected if name not in after]
    parts += [changed_part(column_name(name), "is new") for name in actual if name not in before]
    common = [name for name in expected if name in after]
    turned = [name for name in actual if name in before]
    if common != turned:
        parts.append(
            changed_part(
                "order",
                "the same columns in another order" if not parts else "common columns in another order",
                clipped(", ".join(common[:_NAMES])),
                clipped(", ".join(turned[:_NAMES])),
            )
        )
    return parts


def _first_of(column: Column) -> int:
    return column.cells[0][0]


def _first_words(parts: Iterable[Difference]) -> list[str]:
    told = [part.summary if part.subject == "order" else f"{part.subject} {part.summary}" for part in parts]
    return told[:3] + ([f"{len(told) - 3} more"] if len(told) > 3 else [])


def _columns(columns: list[Column]) -> str:
    return column_name(columns[0].name) if len(columns) == 1 else f"{len(columns):,} columns"


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"
