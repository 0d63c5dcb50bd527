"""Valid tables: CSV, Parquet, Arrow; see samples.py."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

CSV = b"id,name,rmse\n" + b"".join(
    b'%d,"n, %d",%s\n' % (row, row, repr(row / 7).encode()) for row in range(30)
)


def _written(folder: Path, files: dict[str, bytes]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in files]


def _csv(folder: Path) -> list[Path]:
    lines = CSV.splitlines(keepends=True)
    return _written(
        folder,
        {
            "a.csv": CSV,
            "b.csv": b"\xef\xbb\xbf" + CSV.replace(b"\n", b"\r\n"),
            "c.csv": CSV.replace(b"0.14285714285714285", b"0.14285714285714288"),
            "d.csv": b"".join([lines[0], *reversed(lines[1:])]),
            "e.csv": CSV.decode().encode("utf-16"),
            "f.tsv": CSV.replace(b", ", b" ").replace(b",", b"\t").replace(b'"', b""),
            "g.csv": b"",
            "h.csv": b"alone\n1\n2\n\n3",
            "i.csv": b'ragged,"x""y"\n1\n1,2,3\n',
            "j.csv": b'broken "quote\n1,2\n',
        },
    )


def table(rows: int = 50, **changes: Any) -> pa.Table:
    """A table with a column of many types; `changes` replace columns."""
    values: dict[str, Any] = {
        "id": pa.array(range(rows), pa.int64()),
        "rmse": pa.array([row / 7 for row in range(rows)], pa.float64()),
        "half": pa.array([None if row % 5 == 0 else row / 3 for row in range(rows)], pa.float32()),
        "name": pa.array([None if row % 7 == 0 else f"name {row * row}" for row in range(rows)]),
        "flag": pa.array([row % 3 == 0 for row in range(rows)]),
        "when": pa.array(
            [datetime(2026, 1, 1, row % 24, tzinfo=UTC) for row in range(rows)], pa.timestamp("us", "UTC")
        ),
        "price": pa.array([Decimal(row).scaleb(-2) for row in range(rows)], pa.decimal128(12, 2)),
        "list": pa.array(
            [[float(item) for item in range(row % 4)] if row % 6 else None for row in range(rows)]
        ),
        "pair": pa.array([{"a": row, "b": f"b{row}"} if row % 4 else None for row in range(rows)]),
        "raw": pa.array([bytes([row % 256] * (row % 3)) for row in range(rows)]),
    }
    return pa.table({**values, **changes})


def parquet(content: pa.Table, **options: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(content, buffer, **options)
    return buffer.getvalue()


def arrow(
    content: pa.Table, *, stream: bool = False, rows: int | None = None, codec: str | None = None
) -> bytes:
    buffer = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=codec)
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(buffer, content.schema, options=options) as writer:
        writer.write_table(content, max_chunksize=rows)
    return buffer.getvalue()


def _changed_cell() -> pa.Table:
    return table(rmse=pa.array([row / 7 + (1e-9 if row == 16 else 0) for row in range(50)]))


def _parquet(folder: Path) -> list[Path]:
    whole = table()
    return _written(
        folder,
        {
            "a.parquet": parquet(whole),
            "b.parquet": parquet(whole, row_group_size=7, compression="zstd", use_dictionary=False),
            "c.parquet": parquet(_changed_cell()),
            "e.parquet": parquet(whole.take(list(range(49, -1, -1)))),
            "f.parquet": parquet(whole.slice(0, 0)),
        },
    )


def _arrow(folder: Path) -> list[Path]:
    whole = table(group=pa.array(["a", "b"] * 25).dictionary_encode())
    return _written(
        folder,
        {
            "a.arrow": arrow(whole),
            "b.arrow": arrow(whole, stream=True, rows=9),
            "c.feather": arrow(whole, codec="lz4", rows=20),
            "e.arrow": arrow(whole.slice(0, 0)),
        },
    )


def _content(name: str, data: bytes, *pieces: bytes) -> Callable[[Path], tuple[Path, list[int]]]:
    def build(folder: Path) -> tuple[Path, list[int]]:
        (path,) = _written(folder, {name: data})
        return path, [data.index(piece) + number for piece in pieces for number in range(len(piece))]

    return build


SAMPLES: dict[str, Callable[[Path], list[Path]]] = {"csv": _csv, "parquet": _parquet, "arrow": _arrow}

_PLAIN = parquet(
    table(), compression="none", use_dictionary=False, write_statistics=False, column_encoding="PLAIN"
)


def _values(content: pa.Table, *names: str) -> list[bytes]:
    """The bytes of the values of columns without nulls."""
    return [content.column(name).chunk(0).buffers()[1].to_pybytes()[: 8 * 50] for name in names]


CONTENT: dict[str, Callable[[Path], tuple[Path, list[int]]]] = {
    "csv": _content("a.csv", CSV, CSV),
    "parquet": _content("a.parquet", _PLAIN, *_values(table(), "id", "rmse", "when"), b"name 484"),
    "arrow": _content(
        "a.arrow", arrow(table()), *_values(table(), "id", "rmse", "when"), b"name 484name 529"
    ),
}
