"""Parquet: values are content, how they are encoded is not.

Where both files have the same row groups, columns whose chunks are the same bytes are not even decoded.
Format: https://parquet.apache.org/docs/file-format/ ; pyarrow reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from reproof.compare.bytewise import equal_bytes
from reproof.compare.columnar import arrow_errors, compare_tables, in_step
from reproof.compare.isolated import compare_apart
from reproof.compare.protocol import ContentError, Context, Source
from reproof.model.difference import Difference, Outcome

if TYPE_CHECKING:
    import pyarrow as pa

_MAGIC = b"PAR1"
_BATCH_ROWS = 1 << 16
_BATCH_BYTES = 64 << 20
_BUFFER = 1 << 20
_MAX_FOOTER = 64 << 20


class ParquetComparator:
    """Parquet: row groups, codecs, dictionaries, pages, statistics and writer are set aside by name."""

    name = "parquet"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Both begin with the mark of Parquet."""
        return all(side.head(4) == _MAGIC for side in (expected, actual))

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Children: ``columns``, ``rows``, and each column that differs with its first differing cells.

        Raises:
            ContentError: A side is damaged, encrypted, or has two columns of one name.
        """
        return compare_apart("reproof.compare.parquet:compare_parquet", (expected, actual), subject, context)


def compare_parquet(expected: Source, actual: Source, subject: str, context: Context) -> Difference:
    """As :meth:`ParquetComparator.compare`, in this process, which some damaged files end."""
    with ExitStack() as stack:
        one = _ParquetTable(expected, stack)
        two = _ParquetTable(actual, stack)
        with arrow_errors():
            pair = _ParquetPair(one, two, context)
            found = compare_tables(pair, context)
            if not found.names and found.outcome is Outcome.IDENTICAL and not equal_bytes(expected, actual):
                found.names.add(pair.remaining_name())
            return found.difference(subject, context)


class _ParquetTable:
    """One open file."""

    def __init__(self, source: Source, stack: ExitStack) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.source = source
        _check_footer(source)
        file = stack.enter_context(source.open())
        with arrow_errors():
            self.file = stack.enter_context(
                pq.ParquetFile(pa.PythonFile(file, "r"), buffer_size=_BUFFER, pre_buffer=False)
            )
            self.metadata = self.file.metadata
            self.schema: pa.Schema = self.file.schema_arrow
            self.rows: int = self.metadata.num_rows
            self.groups = [self.metadata.row_group(number) for number in range(self.metadata.num_row_groups)]
        if sum(group.num_rows for group in self.groups) != self.rows:
            raise ContentError("its row groups have other rows than the file says")

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """All rows of some columns."""
        return self.group_batches(range(len(self.groups)), columns)

    def group_batches(self, groups: Sequence[int], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows of some row groups."""
        count = 0
        wanted = sum(self.groups[number].num_rows for number in groups)
        if groups and wanted:
            names = list(columns)
            rows = self._batch_rows(groups)
            for batch in self.file.iter_batches(rows, row_groups=list(groups), columns=names):
                count += batch.num_rows
                yield batch.select(names)
        if count != wanted:
            raise ContentError(f"{wanted:,} rows are promised and {count:,} are there")

    def _batch_rows(self, groups: Sequence[int]) -> int:
        """Fewer rows together where they are large."""
        rows = sum(self.groups[number].num_rows for number in groups)
        size = sum(self.groups[number].total_byte_size for number in groups)
        return int(max(1, min(_BATCH_ROWS, _BATCH_BYTES * rows // max(size, 1))))

    def leaves(self) -> dict[str, list[int]]:
        """Numbers of the leaf columns of each column, in order."""
        found: dict[str, list[int]] = {}
        number = 0
        for field in self.schema:
            count = _leaf_count(field.type)
            found[field.name] = list(range(number, number + count))
            number += count
        if number != self.metadata.num_columns:
            return {}
        return found


class _ParquetPair:
    """Two files, and which of their chunks are the same bytes."""

    kind = "parquet"

    def __init__(self, one: _ParquetTable, two: _ParquetTable, context: Context) -> None:
        self.one = one
        self.two = two
        self._context = context
        self._leaves = one.leaves()
        self._is_aligned = (
            bool(self._leaves)
            and one.schema.equals(two.schema)
            and one.file.schema.equals(two.file.schema)
            and [group.num_rows for group in one.groups] == [group.num_rows for group in two.groups]
        )
        self._differing: dict[str, list[int]] = {}

    def together(self) -> bool:
        """Columns lie apart, so they are read one after the other."""
        return False

    def differing_columns(self, columns: Sequence[str]) -> list[str]:
        """Columns with a chunk that is not the same bytes."""
        every = list(range(min(len(self.one.groups), len(self.two.groups))))
        for name in columns:
            groups = (
                [number for number in every if self._may_differ(name, number)] if self._is_aligned else every
            )
            if groups:
                self._differing[name] = groups
        return list(self._differing)

    def batches(self, columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch, pa.RecordBatch]]:
        """The row groups in which one of `columns` may differ; all rows where the row groups do."""
        if not self._is_aligned:
            yield from in_step(self.one.batches(columns), self.two.batches(columns))
            return
        start = 0
        needed = {number for name in columns for number in self._differing[name]}
        for number, group in enumerate(self.one.groups):
            if number in needed:
                left, right = (table.group_batches([number], columns) for table in (self.one, self.two))
                yield from in_step(left, right, start)
            start += group.num_rows

    def layout_names(self) -> set[str]:
        """What differs in how the files are written."""
        one, two = self.one.metadata, self.two.metadata
        told = {
            "parquet writer": one.created_by != two.created_by,
            "parquet format version": one.format_version != two.format_version,
            "row groups": [group.num_rows for group in self.one.groups]
            != [group.num_rows for group in self.two.groups],
        }
        names = {name for name, differs in told.items() if differs}
        if one.num_columns == two.num_columns:
            for first, second in zip(self.one.groups, self.two.groups, strict=False):
                self._context.spending.check_time()
                for number in range(one.num_columns):
                    names |= _chunk_names(first.column(number), second.column(number))
        return names

    def remaining_name(self) -> str:
        """What differs when nothing else does."""
        if self._is_aligned and not self._differing:
            return "statistics and other entries of the footer"
        return "parquet page layout"

    def _may_differ(self, name: str, group: int) -> bool:
        self._context.spending.check_time()
        return any(self._chunks_differ(group, leaf) for leaf in self._leaves[name])

    def _chunks_differ(self, group: int, leaf: int) -> bool:
        chunks = [table.groups[group].column(leaf) for table in (self.one, self.two)]
        facts = [_chunk_facts(chunk) for chunk in chunks]
        if facts[0] != facts[1]:
            return True
        parts = [
            table.source.part("", _chunk_start(chunk), chunk.total_compressed_size)
            for table, chunk in zip((self.one, self.two), chunks, strict=True)
        ]
        return not equal_bytes(parts[0], parts[1])


def _check_footer(source: Source) -> None:
    """Refuse what Arrow should not even try to read."""
    size = source.size
    if size < 12:
        raise ContentError("cut off: too short for a Parquet file")
    with source.open() as file:
        file.seek(size - 8)
        tail = file.read(8)
    if tail[4:] == b"PARE":
        raise ContentError("it is encrypted")
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC or length > size - 12:
        raise ContentError("cut off: it does not end like a Parquet file")
    if length > _MAX_FOOTER:
        raise ContentError(f"a footer of {length:,} bytes is too large")


def _chunk_start(chunk: Any) -> int:
    start = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < start:
        start = chunk.dictionary_page_offset
    return int(start)


def _chunk_facts(chunk: Any) -> tuple[Any, ...]:
    """What decides, besides its bytes, which values a chunk has."""
    return (
        chunk.path_in_schema,
        chunk.physical_type,
        chunk.compression,
        chunk.num_values,
        chunk.total_compressed_size,
        chunk.data_page_offset - _chunk_start(chunk),
    )


def _chunk_names(one: Any, two: Any) -> set[str]:
    names = set()
    if one.compression != two.compression:
        names.add("compression codec")
    if one.has_dictionary_page != two.has_dictionary_page:
        names.add("dictionary encoding")
    elif set(one.encodings) != set(two.encodings):
        names.add("page encodings")
    # what the statistics are is not asked: for damaged ones Arrow ends the process
    return names


def _leaf_count(kind: pa.DataType) -> int:
    """Leaf columns that a type takes in Parquet."""
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        return _leaf_count(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _leaf_count(kind.value_type)
    if pa.types.is_nested(kind):
        return sum(_leaf_count(kind.field(number).type) for number in range(kind.num_fields))
    return 1
