"""A digest of a table's content, whatever it is encoded as, fine enough to say where a change is.

Each column has a digest for every block of 65,536 rows, over the positions of nulls, the lengths and
the values (:class:`reproof.compare.arrow_values.ColumnDigest`); the column's digest is BLAKE3 over its
type, number of rows and block digests, and the table's over names and digests of its columns. Writer,
codec, row groups, chunks, offsets, dictionaries and metadata leave no trace. Bits count: ``-0.0`` is not
``0.0``, NaN is not null, int32 is not int64. Cells of CSV are texts: what stands between the delimiters,
quoted or not.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import msgspec

from reproof.base.digesting import digest_bytes
from reproof.compare.arrow_layout import check_entries, is_text, longest_text, plain_type
from reproof.compare.arrow_values import ColumnDigest
from reproof.compare.protocol import ContentError
from reproof.model.table import BLOCK, BlockedColumn, TableDigest

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_VERSION = "reproof/table/1"
_BUFFER = 1 << 18  # bytes read at a time of each column
_THREADS = 8  # each has a block of a column in memory
_NUMBERS = 3  # bytes: a value that takes fewer is the number of an entry of a dictionary
_WORTH = 5_000_000  # values of dictionaries for which importing `pyarrow.compute` takes less than it saves
_DECODED = 64 << 20  # bytes of texts that are taken from a dictionary together
_PARQUET = (".parquet", ".pq")
_ARROW = (".arrow", ".feather", ".ipc")
_DELIMITERS = {".csv": ",", ".tsv": "\t"}


def digest_table(path: Path) -> TableDigest:
    """Digest a Parquet, Arrow (file, stream, Feather), CSV or TSV file, told by its name.

    Memory does not depend on the number of rows.

    Raises:
        ContentError: It is not such a file, damaged, or has columns whose values have no digest.
        OSError: It cannot be read.
    """
    import pyarrow as pa

    with path.open("rb"):  # its absence is no damage
        pass
    try:
        if path.suffix.lower() in _PARQUET:
            return _digest_parquet(path)
        schema, batches = _open(path)
        return digest_batches(schema, batches)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise ContentError(f"no table can be read: {str(error).splitlines()[0]}") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise ContentError(f"the table is damaged: {str(error).splitlines()[0]}") from error


def digest_batches(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> TableDigest:
    """Digest a table that comes in batches of any sizes; see :func:`digest_table`."""
    columns = [_Blocks(_plain_type(each.type)) for each in schema]
    rows = 0
    for batch in batches:
        rows += len(batch)
        for number, column in enumerate(columns):
            column.add(batch.column(number))
    return _digest_columns(schema.names, rows, columns)


class _Blocks:
    """The digests of a column's blocks, whatever the chunks in which its rows come."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._open = ColumnDigest(kind)
        self._room = BLOCK
        self._finished: list[str] = []
        self.rows = 0

    def add(self, array: pa.Array) -> None:
        """The next rows."""
        start, rows = 0, len(array)
        most = _rows_at_once(array)
        while start < rows:
            piece = array.slice(start, min(self._room, most))
            self._open.update(piece)
            start, self._room = start + len(piece), self._room - len(piece)
            if not self._room:
                self._finish()
        self.rows += rows

    def column(self, name: str) -> BlockedColumn:
        """The column, all of whose rows have come."""
        if self._room < BLOCK:
            self._finish()
        digest = _digest([self._kind, self.rows, *self._finished])
        return BlockedColumn(name=name, type=self._kind, digest=digest, blocks=tuple(self._finished))

    def _finish(self) -> None:
        self._finished.append(self._open.value().removeprefix("blake3:"))
        self._open, self._room = ColumnDigest(self._kind), BLOCK


def _rows_at_once(array: pa.Array) -> int:
    """How many rows may be decoded together: a long text that a dictionary has once may stand in each row.

    Raises:
        ContentError: A row names an entry that its dictionary does not have.
    """
    import pyarrow as pa

    if not pa.types.is_dictionary(array.type):
        return BLOCK
    check_entries(array)
    return max(1, min(BLOCK, _DECODED // max(1, longest_text(array.dictionary))))


def _digest_columns(names: Sequence[str], rows: int, blocks: Iterable[_Blocks]) -> TableDigest:
    columns = tuple(each.column(name) for name, each in zip(names, blocks, strict=True))
    whole = _digest([_VERSION, rows, *([column.name, column.digest] for column in columns)])
    return TableDigest(digest=whole, rows=rows, columns=columns)


def _digest_parquet(path: Path) -> TableDigest:
    """Column by column, some at once: a block is hashed by the thread that decoded it, while in its cache.

    That costs less than to decode all columns first, with as many threads, and takes less memory.
    """
    import pyarrow as pa

    with pa.OSFile(str(path)) as source:
        whole = _open_parquet(source)
        schema, metadata = whole.schema_arrow, whole.metadata
        if not _can_be_asked_for(schema.names):
            return digest_batches(schema, whole.iter_batches(batch_size=BLOCK))
        options = {"metadata": metadata, "read_dictionary": _repeating(schema, metadata)}
        count = min(_THREADS, _cores(), len(schema.names))
        readers = SimpleQueue[Any]()  # one for each thread: they are not made for several
        for _ in range(count):
            readers.put(_open_parquet(source, **options))

        def digested(field: pa.Field) -> _Blocks:
            reader = readers.get()
            try:
                return _digest_column(reader, field)
            finally:
                readers.put(reader)

        with ThreadPoolExecutor(count) as pool:
            return _digest_columns(schema.names, metadata.num_rows, pool.map(digested, schema))


def _digest_column(reader: pq.ParquetFile, field: pa.Field) -> _Blocks:
    blocks = _Blocks(_plain_type(field.type))
    for batch in reader.iter_batches(batch_size=BLOCK, columns=[field.name], use_threads=False):
        blocks.add(batch.column(0))
    if blocks.rows != reader.metadata.num_rows:
        raise ContentError(f"{reader.metadata.num_rows:,} rows are promised and {blocks.rows:,} are there")
    return blocks


def _open_parquet(source: pa.NativeFile, **options: Any) -> pq.ParquetFile:
    import pyarrow.parquet as pq

    # Buffered ahead, all that was read would be kept to the end.
    return pq.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER, **options)


def _repeating(schema: pa.Schema, metadata: pq.FileMetaData) -> list[str]:
    """Columns of texts of which the file has numbers of entries of a dictionary, as far as their size tells.

    To read the numbers and look up all entries of a block at once takes half as long as to read the texts,
    but needs a module of Arrow that takes long to import.
    """
    texts = {field.name for field in schema if is_text(field.type)}
    if not texts or not metadata.num_row_groups:
        return []
    groups = [metadata.row_group(number) for number in (0, metadata.num_row_groups - 1)]
    found = [
        groups[0].column(number).path_in_schema
        for number in range(metadata.num_columns)
        if all(_has_numbers(group.column(number)) for group in groups)
    ]
    found = [name for name in found if name in texts]
    is_quicker = "pyarrow.compute" in sys.modules or metadata.num_rows * len(found) >= _WORTH
    return found if is_quicker else []


def _has_numbers(chunk: Any) -> bool:
    return bool(chunk.has_dictionary_page and chunk.total_uncompressed_size < _NUMBERS * chunk.num_values)


def _can_be_asked_for(names: Sequence[str]) -> bool:
    """Whether each name stands for one column: a reader takes `a.b` for the field `b` of `a`, too."""
    known = set(names)
    within = (accumulate(name.split(".")[:-1], "{}.{}".format) for name in names if "." in name)
    return 0 < len(known) == len(names) and not any(outer in known for each in within for outer in each)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _plain_type(kind: pa.DataType) -> str:
    """The type of the values themselves: a dictionary is a way to write them."""
    import pyarrow as pa

    return str(plain_type(kind.value_type if pa.types.is_dictionary(kind) else kind))


def _digest(value: list[Any]) -> str:
    return digest_bytes(msgspec.json.encode(value))["blake3"]


def _open(path: Path) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
    import pyarrow as pa

    ending = path.suffix.lower()
    if ending in _ARROW:
        return _open_arrow(path)
    if ending in _DELIMITERS:
        return _open_csv(path, _DELIMITERS[ending])
    raise pa.ArrowInvalid(f"`{ending or path.name}` is no ending of a table")


def _open_arrow(path: Path) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
    import pyarrow as pa

    source = pa.memory_map(str(path))
    if source.read(6) == b"ARROW1":
        source.seek(0)
        file = pa.ipc.open_file(source)
        return file.schema, (file.get_batch(number) for number in range(file.num_record_batches))
    source.seek(0)
    stream = pa.ipc.open_stream(source)
    return stream.schema, stream


def _open_csv(path: Path, delimiter: str) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
    """All cells as texts: what a type is guessed to be depends on the reader and its blocks."""
    import pyarrow as pa
    from pyarrow import csv

    parse = csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    with csv.open_csv(path, parse_options=parse) as first:
        names = first.schema.names
    convert = csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()),
        strings_can_be_null=False,
        quoted_strings_can_be_null=False,
    )
    reader = csv.open_csv(path, parse_options=parse, convert_options=convert)
    return reader.schema, reader
