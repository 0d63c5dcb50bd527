"""Digests of a table's content, fine enough to say where two tables differ without having either."""

from __future__ import annotations

import msgspec

#: Rows that have a digest of their own in each column.
BLOCK = 65_536

#: Endings of the files that :func:`reproof.compare.table_digest.digest_table` reads.
ENDINGS = frozenset({".parquet", ".pq", ".arrow", ".feather", ".ipc", ".csv", ".tsv"})

_SHORT = 16  # digits of a block's digest in a record: they only say where to look
_MOST = 16_384  # digests of blocks in a record


class BlockedColumn(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A column of a table.

    Attributes:
        name: Its name; not unique in every table.
        type: Its plain type.
        digest: BLAKE3 of the whole column, 64 hexadecimal digits.
        blocks: BLAKE3 of each block of rows, in order, or the first 16 digits of each; empty where
            there would be too many.
    """

    name: str
    type: str
    digest: str
    blocks: tuple[str, ...] = ()


class TableDigest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a table holds.

    Attributes:
        digest: BLAKE3 of the whole table: equal for equal content.
        rows: Number of rows.
        columns: In the order of the table.
    """

    digest: str
    rows: int
    columns: tuple[BlockedColumn, ...]

    def shortened(self) -> TableDigest:
        """The same with the beginnings of the blocks' digests, or with none where there are very many."""
        many = sum(len(column.blocks) for column in self.columns) > _MOST
        columns = tuple(
            msgspec.structs.replace(
                column, blocks=() if many else tuple(block[:_SHORT] for block in column.blocks)
            )
            for column in self.columns
        )
        return msgspec.structs.replace(self, columns=columns)


def changed_blocks(one: TableDigest, two: TableDigest) -> dict[str, list[tuple[int, int]]]:
    """Where two tables differ, from their digests alone.

    Returns:
        Name of each column that differs to ranges of rows ``(first, last)``, counted from 1, in
        which a change lies; of a column that only one side has, whose type differs, or without
        digests of blocks, all rows.
    """
    rows = max(one.rows, two.rows)
    others = {(column.name, column.type): column for column in two.columns}
    found: dict[str, list[tuple[int, int]]] = {}
    for column in one.columns:
        other = others.pop((column.name, column.type), None)
        if other is None or not (column.blocks and other.blocks):
            if other is None or other.digest != column.digest:
                found[column.name] = [(1, rows)]
        elif other.digest != column.digest:
            count = max(len(column.blocks), len(other.blocks))
            pairs = [(column.blocks[n : n + 1], other.blocks[n : n + 1]) for n in range(count)]
            differing = [n for n, (left, right) in enumerate(pairs) if left != right]
            found[column.name] = [(n * BLOCK + 1, min((n + 1) * BLOCK, rows)) for n in differing]
    return {**found, **{name: [(1, rows)] for name, _ in others}}


def changes_in_words(one: TableDigest, two: TableDigest) -> str:
    """Where two tables differ, as one line: ``column `price`, rows 65,537-131,072``."""
    if one.digest == two.digest:
        return "the same table"
    parts = [
        f"column `{name}`, rows {', '.join(f'{first:,}-{last:,}' for first, last in ranges[:3])}"
        + (f" and {len(ranges) - 3} more blocks" if len(ranges) > 3 else "")
        for name, ranges in changed_blocks(one, two).items()
    ]
    if not parts:
        return "the order of the columns"
    return "; ".join(parts[:5]) + (f"; {len(parts) - 5} more columns" if len(parts) > 5 else "")
