"""Tables by columns, whatever file they lie in: column by column, batch by batch, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from reproof.compare.arrow_layout import bare, pa_array, plain_type
from reproof.compare.arrow_schema import compare_schemas
from reproof.compare.arrow_values import ColumnDigest, mixed, row_hashes, unequal_rows
from reproof.compare.protocol import ContentError, Context
from reproof.compare.tables import CELLS, Column, Findings, changed_part, column_name
from reproof.model.difference import Outcome

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_MAX_KNOWN_ROWS = 4_000_000  # differing rows whose hashes are kept: 32 MB for each side
_MAX_DIGESTS = 20  # differing columns that are read again for a digest of all their values
_SHARE = 100  # when more than one in so many rows differs, rows may have moved


class ColumnarTable(Protocol):
    """A file of columns, open for reading."""

    @property
    def schema(self) -> pa.Schema:
        """Names, types and metadata."""

    @property
    def rows(self) -> int:
        """Number of rows."""

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """All rows of some columns, in order; each batch has just these columns."""


class TablePair(Protocol):
    """Two open tables, and what can be told about columns without reading them."""

    @property
    def kind(self) -> str:
        """What the difference is called."""

    @property
    def one(self) -> ColumnarTable:
        """The recorded side."""

    @property
    def two(self) -> ColumnarTable:
        """The other side."""

    def differing_columns(self, columns: Sequence[str]) -> Sequence[str]:
        """Those of `columns` that may differ."""

    def batches(self, columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch, pa.RecordBatch]]:
        """The rows that may differ: number of the first (from 0), and as many rows of both sides."""

    def layout_names(self) -> set[str]:
        """What differs in how the values are written, by name."""

    def together(self) -> bool:
        """Whether reading all columns at once costs no more than one after the other."""


@dataclass
class _Sums:
    """Sums of the hashes of differing values: they are equal when the values only changed places."""

    one: int = 0
    two: int = 0

    def add(self, first: np.ndarray, second: np.ndarray) -> None:
        """Add the hashes of values that differ: uint64, one for each row, of either side."""
        import numpy as np

        self.one = (self.one + int(np.add.reduce(first))) % (1 << 64)
        self.two = (self.two + int(np.add.reduce(second))) % (1 << 64)


@dataclass
class _State:
    column: Column
    sums: _Sums = field(default_factory=_Sums)
    broken: str = ""


@contextmanager
def arrow_errors() -> Iterator[None]:
    """Turn what Arrow raises about damaged files into ContentError."""
    import pyarrow as pa

    try:
        yield
    except ContentError:
        raise
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        OverflowError,
        KeyError,
        TypeError,
        NotImplementedError,
    ) as error:
        raise ContentError(f"damaged, or not readable here: {error}") from None


def compare_tables(pair: TablePair, context: Context) -> Findings:
    """Compare two tables: schema, values, and whether rows only moved.

    Raises:
        ContentError: A side is damaged.
    """
    parts, names, columns = compare_schemas(pair.one.schema, pair.two.schema)
    found = Findings(pair.kind, (pair.one.rows, pair.two.rows), schema=parts, names=names)
    found.evidence["columns"] = [len(pair.one.schema.names), len(pair.two.schema.names)]
    candidates = list(pair.differing_columns(columns))
    changed = _Rows()
    states = {name: _State(Column(name)) for name in candidates}
    groups = [candidates] if pair.together() else [[name] for name in candidates]
    for group in groups:
        for start, one, two in pair.batches(group) if group else ():
            context.spending.check_time()
            for name in group:
                _compare_column(states[name], start, one.column(name), two.column(name), (context, changed))
    found.columns = [state.column for state in states.values() if state.column.distance.differing]
    for name, state in states.items():
        if state.broken:
            part = changed_part(column_name(name), state.broken, None, None, Outcome.UNKNOWN)
            found.schema.append(part)
    found.differing_rows, found.first_row = changed.count, changed.first + 1
    if found.rows[0] != found.rows[1] and not found.first_row:
        found.first_row = min(found.rows) + 1
    if _may_have_moved(found, states):
        found.only = _moved_rows(pair, columns, context)
    if not found.is_moved:
        _add_digests(pair, found.columns[:_MAX_DIGESTS], context)
    if found.outcome <= Outcome.CLOSE:
        found.names |= pair.layout_names()
    return found


def digest_columns(table: ColumnarTable, columns: Sequence[str]) -> dict[str, str]:
    """``blake3:...`` of the values of each of `columns`, independent of how they are written.

    Raises:
        ContentError: The file is damaged, or a type is not known.
    """
    digests = {name: ColumnDigest(str(plain_type(table.schema.field(name).type))) for name in columns}
    for batch in table.batches(columns):
        for name, digest in digests.items():
            digest.update(batch.column(name))
    return {name: digest.value() for name, digest in digests.items()}


def in_step(
    one: Iterator[pa.RecordBatch], two: Iterator[pa.RecordBatch], start: int = 0
) -> Iterator[tuple[int, Any, Any]]:
    """Batches of both sides cut so that they have the same rows; ends with the shorter side.

    The next batch of each side is decoded while the one before is compared.
    """
    with ThreadPoolExecutor(2) as pool:
        yield from _cut_in_step(_ahead(one, pool), _ahead(two, pool), start)


def _ahead(batches: Iterator[pa.RecordBatch], pool: ThreadPoolExecutor) -> Iterator[pa.RecordBatch]:
    """The same batches, each asked for before the one before it is used."""
    following = pool.submit(next, batches, None)
    while (batch := following.result()) is not None:
        following = pool.submit(next, batches, None)
        yield batch


def _cut_in_step(
    one: Iterator[pa.RecordBatch], two: Iterator[pa.RecordBatch], start: int
) -> Iterator[tuple[int, Any, Any]]:
    left: Any = None
    right: Any = None
    while True:
        left = left if left is not None and left.num_rows else next(one, None)
        right = right if right is not None and right.num_rows else next(two, None)
        if left is None or right is None:
            return
        count = min(left.num_rows, right.num_rows)
        if count:
            yield start, left.slice(0, count), right.slice(0, count)
        start += count
        left, right = left.slice(count), right.slice(count)


class _Rows:
    """Which rows differ in some column: only their number and the first are kept."""

    def __init__(self) -> None:
        self._marks: dict[int, Any] = {}
        self.first = -1

    def add(self, start: int, mask: np.ndarray) -> None:
        """Note rows of a block that begins at row `start`: `mask` is true for each, and for one at least."""
        import numpy as np

        place = start + int(mask.argmax())
        self.first = place if self.first < 0 else min(self.first, place)
        rows = np.flatnonzero(mask) + start
        for block in np.unique(rows >> 16):
            marks = self._marks.setdefault(int(block), np.zeros(8192, np.uint8))
            inside = rows[rows >> 16 == block] & 0xFFFF
            np.bitwise_or.at(marks, inside >> 3, (1 << (inside & 7)).astype(np.uint8))

    @property
    def count(self) -> int:
        """How many rows were noted, each once."""
        import numpy as np

        return sum(int(np.unpackbits(marks).sum()) for marks in self._marks.values())


def _compare_column(
    state: _State, start: int, one: pa.Array, two: pa.Array, account: tuple[Context, _Rows]
) -> None:
    import numpy as np

    if state.broken:
        return
    context, changed = account
    try:
        mask = unequal_rows(one, two, context.tolerance, state.column.distance)
        if not mask.any():
            return
        where = np.flatnonzero(mask)
        rows = pa_array(where)
        state.sums.add(row_hashes(one.take(rows)), row_hashes(two.take(rows)))
    except ContentError as error:
        state.broken = str(error)
        return
    changed.add(start, mask)
    for place in where[: CELLS - len(state.column.cells)]:
        state.column.add_cell(start + int(place) + 1, cell_text(one, int(place)), cell_text(two, int(place)))


def cell_text(array: pa.Array, place: int) -> str:
    """One value for people: of floats the shortest text that reads back as the same bits."""
    import numpy as np
    import pyarrow as pa

    cell = bare(array.slice(place, 1))
    if cell.null_count:
        return "null"
    try:
        if pa.types.is_floating(cell.type):
            return str(np.asarray(cell)[0])
        value = cell[0].as_py()
        return value if isinstance(value, str) else str(value)
    except (ValueError, OverflowError, pa.ArrowException, ImportError):
        return str(cell.to_string())


def _may_have_moved(found: Findings, states: dict[str, _State]) -> bool:
    """Whether it is worth to read all columns again, to find rows at other places."""
    if found.outcome is not Outcome.DIFFERENT or any(state.broken for state in states.values()):
        return False
    if found.rows[0] != found.rows[1]:
        return True
    if found.differing_rows < 2:
        return False
    same = all(state.sums.one == state.sums.two for state in states.values())
    return same or found.differing_rows * _SHARE > found.rows[0]


def _moved_rows(pair: TablePair, columns: Sequence[str], context: Context) -> tuple[int, int] | None:
    """How many rows only one side has, wherever they stand; None where there are too many to tell.

    Rows that are equal and in the same place cancel out; of the others the hashes are kept.
    """
    import numpy as np

    if not columns:
        return None
    sums = _Sums()
    kept: list[list[np.ndarray]] = [[], []]
    count = 0
    sides = [_hashed(table.batches(columns), columns, context) for table in (pair.one, pair.two)]
    for first, second in _hashes_in_step(*sides):
        both = min(len(first), len(second))
        differs = first[:both] != second[:both]
        one, two = (np.concatenate([side[:both][differs], side[both:]]) for side in (first, second))
        sums.add(one, two)
        count = max(count, 0) + max(len(one), len(two)) if count >= 0 else count
        if 0 <= count <= _MAX_KNOWN_ROWS:
            kept[0].append(one)
            kept[1].append(two)
        else:
            count, kept = -1, [[], []]
    if count < 0:
        return (0, 0) if sums.one == sums.two and pair.one.rows == pair.two.rows else None
    return _only(*(np.sort(np.concatenate([*side, np.zeros(0, np.uint64)])) for side in kept))


def _only(one: np.ndarray, two: np.ndarray) -> tuple[int, int]:
    """How many of two sorted multisets the other does not have."""
    import numpy as np

    values, counts = np.unique(one, return_counts=True)
    others, other_counts = np.unique(two, return_counts=True)
    _, places, other_places = np.intersect1d(values, others, assume_unique=True, return_indices=True)
    common = int(np.minimum(counts[places], other_counts[other_places]).sum())
    return len(one) - common, len(two) - common


def _hashed(
    batches: Iterator[pa.RecordBatch], columns: Sequence[str], context: Context
) -> Iterator[np.ndarray]:
    import numpy as np

    for batch in batches:
        context.spending.check_time()
        whole = np.zeros(batch.num_rows, np.uint64)
        for name in columns:
            whole = mixed(whole) + row_hashes(batch.column(name))
        yield whole


def _hashes_in_step(
    one: Iterator[np.ndarray], two: Iterator[np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Stretches of the same length, as long as both have rows; then what the longer has left."""
    import numpy as np

    nothing = np.zeros(0, np.uint64)
    left: np.ndarray | None = nothing
    right: np.ndarray | None = nothing
    while True:
        if left is not None and not len(left):
            left = next(one, None)
        if right is not None and not len(right):
            right = next(two, None)
        if left is None and right is None:
            return
        if left is None or right is None:
            yield (nothing if left is None else left), (nothing if right is None else right)
            left, right = (None if side is None else nothing for side in (left, right))
            continue
        count = min(len(left), len(right))
        yield left[:count], right[:count]
        left, right = left[count:], right[count:]


def _add_digests(pair: TablePair, columns: list[Column], context: Context) -> None:
    if not columns:
        return
    context.spending.check_time()
    names = [column.name for column in columns]
    groups = [names] if pair.together() else [[name] for name in names]
    for group in groups:
        one, two = digest_columns(pair.one, group), digest_columns(pair.two, group)
        for column in columns:
            if column.name in one:
                column.digests = one[column.name], two[column.name]
