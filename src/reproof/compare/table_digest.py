"""A digest of a table's content, whatever it is encoded as, fine enough to say where a change is.

Each column has a digest for every block of 65,536 rows, over the positions of nulls, the lengths and
the values (:class:`reproof.compare.arrow_values.ColumnDigest`); the column's digest is BLAKE3 over its
type, number of rows and block digests, and the table's over names and digests of its columns. Writer,
codec, row groups, chunks, offsets, dictionaries and metadata leave no trace. Bits count: ``-0.0`` is not
``0.0``, NaN is not null, int32 is not int64. Cells of CSV are texts: what stands between the delimiters,
quoted or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from reproof.base.digesting import digest_bytes
from reproof.compare.arrow_layout import plain_type
from reproof.compare.arrow_values import ColumnDigest
from reproof.compare.protocol import ContentError
from reproof.model.table import BLOCK, BlockedColumn, TableDigest

if TYPE_CHECKING:
    import pyarrow as pa

_VERSION = "reproof/table/1"
_BUFFER = 1 << 20  # bytes read at a time of each column
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
    types = [_plain_type(each.type) for each in schema]
    finished: list[list[str]] = [[] for _ in types]
    open_blocks = [ColumnDigest(kind) for kind in types]
    rows = filled = 0
    for piece in _pieces(batches):
        for number, block in enumerate(open_blocks):
            block.update(piece.column(number))
        rows, filled = rows + len(piece), filled + len(piece)
        if filled == BLOCK:
            _finish(open_blocks, finished, types)
            filled = 0
    if filled:
        _finish(open_blocks, finished, types)
    columns = tuple(
        BlockedColumn(name=name, type=kind, digest=_digest([kind, rows, *blocks]), blocks=tuple(blocks))
        for name, kind, blocks in zip(schema.names, types, finished, strict=True)
    )
    whole = _digest([_VERSION, rows, *([column.name, column.digest] for column in columns)])
    return TableDigest(digest=whole, rows=rows, columns=columns)


def _plain_type(kind: pa.DataType) -> str:
    """The type of the values themselves: a dictionary is a way to write them."""
    import pyarrow as pa

    return str(plain_type(kind.value_type if pa.types.is_dictionary(kind) else kind))


def _pieces(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows, cut so that no piece lies in two blocks."""
    room = BLOCK
    for batch in batches:
        start = 0
        while start < len(batch):
            piece = batch.slice(start, room)
            yield piece
            start += len(piece)
            room = room - len(piece) or BLOCK


def _finish(open_blocks: list[ColumnDigest], finished: list[list[str]], types: list[str]) -> None:
    for number, kind in enumerate(types):
        finished[number].append(open_blocks[number].value().removeprefix("blake3:"))
        open_blocks[number] = ColumnDigest(kind)


def _digest(value: list[Any]) -> str:
    return digest_bytes(msgspec.json.encode(value))["blake3"]


def _open(path: Path) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
    import pyarrow as pa

    ending = path.suffix.lower()
    if ending in _PARQUET:
        import pyarrow.parquet as pq

        # Buffered ahead, all that was read would be kept to the end.
        file = pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER)
        return file.schema_arrow, file.iter_batches(batch_size=BLOCK)
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
