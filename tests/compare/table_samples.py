"""Valid tables: CSV, Parquet, Arrow; see samples.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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


def _content(name: str, data: bytes, *pieces: bytes) -> Callable[[Path], tuple[Path, list[int]]]:
    def build(folder: Path) -> tuple[Path, list[int]]:
        (path,) = _written(folder, {name: data})
        return path, [data.index(piece) + number for piece in pieces for number in range(len(piece))]

    return build


SAMPLES: dict[str, Callable[[Path], list[Path]]] = {"csv": _csv}

CONTENT: dict[str, Callable[[Path], tuple[Path, list[int]]]] = {"csv": _content("a.csv", CSV, CSV)}
