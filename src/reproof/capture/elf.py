"""ELF files: the build id of a library, from a few pages of it."""

from __future__ import annotations

import os
import struct
from pathlib import Path

_HEAD = 4096  # bytes that hold header, program headers and, nearly always, the build id
_MAX_HEADERS = 1 << 16  # bytes of program headers that are read
_MAX_NOTES = 1 << 16  # bytes of one segment of notes that are read
_MAX_ID = 64  # bytes of a build id; GNU ld makes 20, LLD 8 or 16
_PT_NOTE = 4
_NT_GNU_BUILD_ID = 3


def build_id(path: Path) -> str | None:
    """The GNU build id of an ELF file, hexadecimal; None where there is none or it is no ELF file.

    Reads the program headers and segments of notes as the System V ABI and elf(5) lay them out,
    both word sizes and byte orders, never more than a few pages. OSError as reading raises it.
    """
    with path.open("rb", buffering=0) as file:
        head = file.read(_HEAD)
        for offset, size, align in _note_segments(head, file.fileno()):
            notes = _read(head, file.fileno(), offset, min(size, _MAX_NOTES))
            found = _find_build_id(notes, _order(head), 8 if align == 8 else 4)
            if found is not None:
                return found
    return None


def _order(head: bytes) -> str:
    return ">" if head[5:6] == b"\2" else "<"


def _note_segments(head: bytes, handle: int) -> list[tuple[int, int, int]]:
    """(offset, size, alignment) of each segment of notes; empty for what is no ELF file."""
    if len(head) < 52 or head[:4] != b"\x7fELF" or head[4] not in (1, 2):
        return []
    order, wide = _order(head), head[4] == 2
    if wide and len(head) < 64:
        return []
    (start,) = struct.unpack_from(order + ("Q" if wide else "I"), head, 32 if wide else 28)
    entry, count = struct.unpack_from(order + "HH", head, 54 if wide else 42)
    # p_type first in both classes; then p_offset, p_filesz and p_align at these places
    form, smallest = ("I4xQ16xQ8xQ", 56) if wide else ("II8xI8xI", 32)
    if entry < smallest:
        return []
    table = _read(head, handle, start, min(entry * count, _MAX_HEADERS))
    found = []
    for position in range(0, len(table) - smallest + 1, entry):
        kind, offset, size, align = struct.unpack_from(order + form, table, position)
        if kind == _PT_NOTE:
            found.append((offset, size, align))
    return found


def _find_build_id(notes: bytes, order: str, align: int) -> str | None:
    position = 0
    while position + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from(order + "III", notes, position)
        name_at = position + 12
        start = name_at + _padded(name_size, align if align == 8 else 4)
        if align == 8:  # the header of 12 bytes and the name share one padding
            start = position + _padded(12 + name_size, 8)
        if kind == _NT_GNU_BUILD_ID and notes[name_at : name_at + name_size] == b"GNU\0":
            value = notes[start : start + size]
            return value.hex() if 0 < size <= _MAX_ID and len(value) == size else None
        position = start + _padded(size, align)
    return None


def _padded(size: int, align: int) -> int:
    return (size + align - 1) // align * align


def _read(head: bytes, handle: int, offset: int, size: int) -> bytes:
    """`size` bytes at `offset`, or as many as there are; from `head` where it holds them."""
    if offset + size <= len(head):
        return head[offset : offset + size]
    try:
        return os.pread(handle, size, offset)
    except (OSError, OverflowError):  # an offset that no file can have
        return b""
