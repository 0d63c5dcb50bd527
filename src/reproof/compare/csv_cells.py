"""Cells of delimited text that differ: numbers by value, everything else by text, column by column."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from reproof.compare.csv_reading import Cell
from reproof.compare.elements import Distance, measure
from reproof.compare.numbers import compare_numerals, normal_form
from reproof.compare.tables import CELLS, Column
from reproof.model.difference import Outcome
from reproof.model.policy import Tolerance

#: A numeral that is no identifier: without leading zeros, blanks or separators of thousands.
_NUMERAL = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,5})?")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_LONGEST = 400
_EXACT_DIGITS = 15  # as many decimal digits a double always keeps
_BUFFERED = 20_000


@dataclass
class CellColumn:
    """The differing cells of one column, gathered and measured in batches.

    Attributes:
        column: What is known of the column.
        notations: Cells that are the same number in another notation.
    """

    column: Column
    tolerance: Tolerance
    notations: int = 0
    _floats: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    _integers: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))

    def add(self, row: int, expected: Cell, actual: Cell) -> bool:
        """Note two cells that are not the same text; False when they are the same number."""
        if expected is None or actual is None or not (is_numeral(expected) and is_numeral(actual)):
            _count(self.column.distance, Outcome.DIFFERENT)
        elif not self._add_numerals(expected, actual):
            self.notations += 1
            return False
        if len(self.column.cells) < CELLS:
            self.column.add_cell(row, show(expected), show(actual))
        return True

    def finish(self) -> Column:
        """The column with everything measured."""
        import numpy as np

        distance = self.column.distance
        for kind, (expected, actual) in (("f", self._floats), ("i", self._integers)):
            if expected:
                dtype = np.dtype(f"{kind}8")
                sides = np.array(expected, dtype), np.array(actual, dtype)
                measure(kind, *sides, self.tolerance, distance)
                expected.clear()
                actual.clear()
        return self.column

    def _add_numerals(self, expected: str, actual: str) -> bool:
        """False when they are the same number."""
        whole = bool(_INTEGER.fullmatch(expected) and _INTEGER.fullmatch(actual))
        first, second = float(expected), float(actual)
        if first == second or (whole and max(len(expected), len(actual)) > _EXACT_DIGITS):
            return self._add_close(expected, actual)
        if whole:
            self._integers[0].append(int(expected))
            self._integers[1].append(int(actual))
        else:
            self._floats[0].append(first)
            self._floats[1].append(second)
        if len(self._floats[0]) + len(self._integers[0]) > _BUFFERED:
            self.finish()
        return True

    def _add_close(self, expected: str, actual: str) -> bool:
        """Numbers that doubles cannot tell apart are compared exactly."""
        if normal_form(expected) == normal_form(actual):
            return False
        outcome, facts = compare_numerals(expected, actual, self.tolerance)
        distance = self.column.distance
        _count(distance, outcome)
        absolute, relative = facts.get("absolute"), facts.get("relative")
        if isinstance(absolute, int | float) and isinstance(relative, int | float):
            distance.without_number -= 1
            distance.max_abs = max(distance.max_abs, absolute)
            distance.max_rel = max(distance.max_rel, relative)
            if isinstance(facts.get("ulp"), int):
                distance.max_ulp = max(distance.max_ulp or 0, facts["ulp"])
        return True


def is_numeral(text: str) -> bool:
    """Whether a cell is a number that may be written in more than one way."""
    return len(text) <= _LONGEST and bool(_NUMERAL.fullmatch(text))


def show(cell: Cell) -> str:
    """The text of a cell for people; a quoted empty one as two quotes."""
    return '""' if cell is None else cell.encode("latin-1").decode("utf-8", "backslashreplace")


def _count(distance: Distance, outcome: Outcome) -> None:
    distance.differing += 1
    distance.without_number += 1
    distance.outside += outcome is not Outcome.CLOSE
