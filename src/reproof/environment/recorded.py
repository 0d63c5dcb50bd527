"""Reading the RECORD of a distribution: its files, each with a digest.

Format: https://packaging.python.org/en/latest/specifications/recording-installed-packages/
"""

from __future__ import annotations

import csv
import functools
import hashlib
from binascii import a2b_base64
from collections.abc import Iterator
from pathlib import Path

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """A file of a distribution: its path relative to the packages' folder, algorithm, digest, bytes."""

    path: str
    algorithm: str
    digest: bytes
    size: int | None = None


def read_record(entry: Path) -> tuple[Entry, ...]:
    """The files with digests that the RECORD in a `.dist-info` folder names, without bytecode."""
    path = entry / "RECORD"
    try:
        state = path.stat()
        return _parsed(path, state.st_ino, state.st_size, state.st_ctime_ns)
    except OSError:
        return ()


@functools.lru_cache(maxsize=512)
def _parsed(path: Path, *_state: int) -> tuple[Entry, ...]:
    """Three steps of an installation read it, one after the other; it is parsed anew when its state has moved."""
    text = path.read_text("utf-8", "surrogateescape")
    return entries_of(text)


def entries_of(text: str) -> tuple[Entry, ...]:
    """The files with digests that the text of a RECORD names, without bytecode."""
    return tuple(item for row in _rows(text) if (item := _entry(row)) is not None)


def _rows(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        yield next(csv.reader([line])) if '"' in line else line.rsplit(",", 2)


def _entry(row: list[str]) -> Entry | None:
    if len(row) < 2 or "=" not in row[1] or row[0].endswith(".pyc"):
        return None
    algorithm, _, value = row[1].partition("=")
    if algorithm not in hashlib.algorithms_guaranteed or algorithm.startswith("shake_"):
        return None
    try:
        size = int(row[2]) if len(row) > 2 and row[2].isdigit() else None
        plain = value.replace("-", "+").replace("_", "/") + "=" * (-len(value) % 4)
        return Entry(row[0], algorithm, a2b_base64(plain), size)
    except ValueError:
        return Entry(row[0], algorithm, b"")
