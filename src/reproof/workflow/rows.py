"""The rows of a run's tables in another order: what is learned from them may change a little, and should not by much."""

from __future__ import annotations

import random
from pathlib import Path

from reproof.errors import ExecutionError
from reproof.model.record import Record

_ENDINGS = (".csv", ".tsv")
_SEED = 1
_LARGE = 1 << 28  # bytes


def tables_of(record: Record) -> tuple[str, ...]:
    """Names of the inputs below the project whose rows can be put into another order."""
    return tuple(
        each.name
        for each in record.materials
        if each.name.endswith(_ENDINGS) and not each.name.startswith(("/", "$")) and (each.size or 0) < _LARGE
    )


def shuffle_tables(top: Path, record: Record) -> None:
    """Put the rows of these tables below `top` into another order, the first row, of names, excepted.

    Raises:
        ExecutionError: One of them cannot be read or written.
    """
    for name in tables_of(record):
        path = top / name
        if path.is_symlink() or not path.is_file():
            continue
        try:
            path.write_bytes(shuffled(path.read_bytes()))
        except OSError as error:
            raise ExecutionError(
                f"cannot put the rows of `{name}` into another order: {error.strerror}"
            ) from error


def shuffled(table: bytes) -> bytes:
    """The rows after the first in another order, the same each time; line ends within quotes belong to a row."""
    head, *rows = _rows(table)
    if len(rows) < 2:
        return table
    ended = rows[-1].endswith(b"\n")
    if not ended:
        rows[-1] += b"\r\n" if head.endswith(b"\r\n") else b"\n"
    other = list(rows)
    random.Random(_SEED).shuffle(other)  # noqa: S311  # no secret
    if other == rows:
        other.reverse()
    text = head + b"".join(other)
    return text if ended else text.rstrip(b"\r\n")


def _rows(table: bytes) -> list[bytes]:
    found: list[bytes] = [b""]
    is_open = False
    for line in table.splitlines(keepends=True):
        found[-1] += line
        is_open ^= line.count(b'"') % 2 == 1
        if not is_open:
            found.append(b"")
    return found if found[-1] or len(found) == 1 else found[:-1]
