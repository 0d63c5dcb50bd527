"""Parts of a file that can be taken from one of two versions of it: hunks of text, blocks of a table."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from reproof.model.table import BLOCK

#: Blocks that the rows of a table are divided into at most.
MOST = 256

_HUNK = re.compile(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)


class Block(msgspec.Struct, frozen=True):
    """Lines (or rows) ``start`` to ``end`` of A, for which B has its lines ``other_start`` to ``other_end``.

    Half open, counted from 0.
    """

    start: int
    end: int
    other_start: int
    other_end: int


def place(path: str, start: int, end: int) -> str:
    """Lines or rows `start` to `end` of a file, half open and counted from 0, for people: ``data.csv:3-5``."""
    return f"{path}:{start + 1}-{end}" if end - start > 1 else f"{path}:{start + 1}"


def show(start: int, end: int, lines: Sequence[bytes] | None) -> str:
    """What a block is on one side, for people: the line if it is one, else which; `lines` is None for a table."""
    if end <= start:
        return "nothing"
    what = "rows" if lines is None else "lines"
    if end - start > 1:
        return f"{what} {start + 1}-{end}"
    if lines is None or start >= len(lines):
        return f"{what[:-1]} {start + 1}"
    return lines[start].decode("utf-8", "replace").strip()[:200]


def hunks(diff: bytes) -> list[Block]:
    """The hunks of what ``git diff --unified=0`` says of one file."""
    found = []
    for match in _HUNK.finditer(diff):
        first, count, other, other_count = (int(text) if text is not None else 1 for text in match.groups())
        # with a count of 0 the number is that of the line before
        start, other_start = first - (count > 0), other - (other_count > 0)
        found.append(Block(start, start + count, other_start, other_start + other_count))
    return found


def line_blocks(before: bytes, after: bytes) -> list[Block] | None:
    """Where two files of equally many lines differ, line by line, in at most :data:`MOST` blocks; else None."""
    one, two = before.splitlines(keepends=True), after.splitlines(keepends=True)
    if len(one) != len(two):
        return None
    return list(_runs([left != right for left, right in zip(one, two, strict=True)]))


def _runs(differs: Sequence[bool]) -> Iterator[Block]:
    """Consecutive differences as blocks, long ones divided, neighbours joined where there are too many."""
    size = max(1, -(-sum(differs) // MOST))
    start: int | None = None
    for index, different in enumerate((*differs, False)):
        if start is not None and (not different or index - start >= size):
            yield Block(start, index, start, index)
            start = None
        if different and start is None:
            start = index


def mix_lines(before: bytes, after: bytes, blocks: Sequence[Block], chosen: AbstractSet[int]) -> bytes:
    """The text of A with the chosen blocks of B.

    Args:
        before: A.
        after: B.
        blocks: All of them, in order.
        chosen: Indexes of those that are B's.
    """
    one, two = before.splitlines(keepends=True), after.splitlines(keepends=True)
    parts, place = [], 0
    for index, block in enumerate(blocks):
        parts += one[place : block.start]
        parts += two[block.other_start : block.other_end] if index in chosen else one[block.start : block.end]
        place = block.end
    return b"".join([*parts, *one[place:]])


def table_blocks(before: bytes, after: bytes) -> list[Block] | None:
    """Where two Parquet files of one schema and equally many rows differ; None where they are not that."""
    one, two = _table(before), _table(after)
    if one is None or two is None or one.schema != two.schema or one.num_rows != two.num_rows:
        return None
    size = min(BLOCK, max(1, -(-one.num_rows // MOST)))
    starts = range(0, one.num_rows, size)
    return [
        Block(start, min(start + size, one.num_rows), start, min(start + size, one.num_rows))
        for start in starts
        if not one.slice(start, size).equals(two.slice(start, size))
    ]


def mix_tables(before: bytes, after: bytes, blocks: Sequence[Block], chosen: AbstractSet[int]) -> bytes:
    """The table of A with the chosen blocks of B, as a Parquet file.

    Args:
        before: The Parquet file of A.
        after: That of B, for which :func:`table_blocks` gave blocks.
        blocks: All of them, in order.
        chosen: Indexes of those that are B's.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    one, two = _table(before), _table(after)
    parts, place = [], 0
    for index, block in enumerate(blocks):
        parts.append(one.slice(place, block.start - place))
        source = two if index in chosen else one
        parts.append(source.slice(block.start, block.end - block.start))
        place = block.end
    mixed = pa.concat_tables([*parts, one.slice(place)]).replace_schema_metadata(one.schema.metadata)
    target = io.BytesIO()
    pq.write_table(
        mixed, target, row_group_size=pq.ParquetFile(io.BytesIO(before)).metadata.row_group(0).num_rows
    )
    return target.getvalue()


def _table(data: bytes) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError, ValueError):
        return None
