"""Arrow's own files (IPC file and stream, Feather version 2): values are content, their layout is not.

Format: https://arrow.apache.org/docs/format/Columnar.html ; pyarrow reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from reproof.compare.arrow_layout import bare
from reproof.compare.bytewise import equal_bytes
from reproof.compare.columnar import arrow_errors, compare_tables, in_step
from reproof.compare.isolated import compare_apart
from reproof.compare.protocol import Context, Source
from reproof.compare.tables import changed_part, column_name
from reproof.model.difference import Difference, Outcome

if TYPE_CHECKING:
    import pyarrow as pa

_FILE = b"ARROW1\0\0"
_CONTINUES = b"\xff\xff\xff\xff"
_SUFFIXES = (".arrow", ".arrows", ".feather", ".ipc")


class ArrowComparator:
    """Arrow IPC files and streams: record batches, compression and dictionaries set aside by name."""

    name = "arrow"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Both begin with the mark of Arrow's file format, or are called so and begin like a stream."""
        return all(
            side.head(8) == _FILE or (side.head(4) == _CONTINUES and side.name.lower().endswith(_SUFFIXES))
            for side in (expected, actual)
        )

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """Children: ``columns``, ``rows``, and each column that differs with its first differing cells.

        Raises:
            ContentError: A side is damaged or has two columns of one name.
        """
        return compare_apart(
            "reproof.compare.arrow_files:compare_arrow", (expected, actual), subject, context
        )


def compare_arrow(expected: Source, actual: Source, subject: str, context: Context) -> Difference:
    """As :meth:`ArrowComparator.compare`, in this process, which some damaged files may end."""
    with ExitStack() as stack:
        pair = _ArrowPair(_ArrowTable(expected, stack), _ArrowTable(actual, stack))
        with arrow_errors():
            found = compare_tables(pair, context)
            found.schema += pair.further()
            if not found.names and found.outcome is Outcome.IDENTICAL and not equal_bytes(expected, actual):
                found.names.add("arrow buffer layout")
            return found.difference(subject, context)


class _ArrowTable:
    """One open file, or a stream, which is opened anew for each pass."""

    def __init__(self, source: Source, stack: ExitStack) -> None:
        self._source = source
        self._stack = stack
        self.is_file = source.head(8) == _FILE
        self.notes: list[dict[bytes, bytes]] = []
        self.levels: dict[str, str] = {}
        self.sizes: list[int] = []
        with arrow_errors():
            self.schema: pa.Schema = self._open().schema
            self.rows = self._survey()

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """All rows of some columns, checked."""
        for batch, _ in self._all([self.schema.get_field_index(name) for name in columns]):
            chosen = batch.select(list(columns))
            chosen.validate(full=True)
            yield chosen

    def _open(self, fields: Sequence[int] = ()) -> Any:
        import pyarrow as pa

        file = pa.PythonFile(self._stack.enter_context(self._source.open()), "r")
        options = pa.ipc.IpcReadOptions(included_fields=list(fields))
        return (pa.ipc.open_file if self.is_file else pa.ipc.open_stream)(file, options=options)

    def _all(self, fields: Sequence[int]) -> Iterator[tuple[pa.RecordBatch, dict[bytes, bytes]]]:
        """Batches with some columns (of files the others are not even read), and what is said of them."""
        reader = self._open(fields)
        if self.is_file:
            for number in range(reader.num_record_batches):
                batch, notes = reader.get_batch_with_custom_metadata(number)
                yield batch, dict(notes or {})
            return
        while True:
            try:
                batch, notes = reader.read_next_batch_with_custom_metadata()
            except StopIteration:
                return
            yield batch, dict(notes or {})

    def _survey(self) -> int:
        """Count rows, and note what is said of batches and which levels categories have."""
        import pyarrow as pa

        coded = [number for number, field in enumerate(self.schema) if pa.types.is_dictionary(field.type)]
        for batch, notes in self._all(coded or [0] if self.schema.names else []):
            self.sizes.append(batch.num_rows)
            if notes:
                self.notes.append(notes)
            for number, name in enumerate(batch.schema.names):
                self._note_levels(name, batch.column(number))
        return sum(self.sizes)

    def _note_levels(self, name: str, array: pa.Array) -> None:
        import pyarrow as pa

        if name in self.levels or not pa.types.is_dictionary(array.type):
            return
        from reproof.compare.arrow_values import ColumnDigest

        array.dictionary.validate(full=True)
        digest = ColumnDigest("levels")
        digest.update(bare(array.dictionary))
        self.levels[name] = digest.value()


class _ArrowPair:
    """Two files; all columns of a batch are read together."""

    kind = "arrow"

    def __init__(self, one: _ArrowTable, two: _ArrowTable) -> None:
        self.one = one
        self.two = two

    def together(self) -> bool:
        """Streams can only be read with all columns."""
        return not (self.one.is_file and self.two.is_file)

    def differing_columns(self, columns: Sequence[str]) -> Sequence[str]:
        """Any may differ."""
        return columns

    def batches(self, columns: Sequence[str]) -> Iterator[tuple[int, pa.RecordBatch, pa.RecordBatch]]:
        """All rows."""
        return in_step(self.one.batches(columns), self.two.batches(columns))

    def further(self) -> list[Difference]:
        """Differences besides the values: remarks on batches, levels of ordered categories."""
        parts = []
        if self.one.notes != self.two.notes:
            parts.append(changed_part("metadata of record batches", "differ"))
        ordered = [name for name in self._other_levels() if self.one.schema.field(name).type.ordered]
        parts += [
            changed_part(column_name(name), "has other levels, or in another order") for name in ordered
        ]
        return parts

    def layout_names(self) -> set[str]:
        """What differs in how the files are written."""
        told = {
            "arrow file or stream": self.one.is_file is not self.two.is_file,
            "record batches": self.one.sizes != self.two.sizes,
            "unused levels and order of levels": bool(self._other_levels()),
        }
        return {name for name, differs in told.items() if differs}

    def _other_levels(self) -> list[str]:
        both = self.one.levels.keys() & self.two.levels.keys()
        return sorted(name for name in both if self.one.levels[name] != self.two.levels[name])
