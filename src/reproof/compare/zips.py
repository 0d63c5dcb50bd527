"""Reading zip files: members with their places, what is noise in them, and bytes that nobody owns.

The format is PKWARE's APPNOTE 6.3; opening and decompression are those of the standard library.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

from reproof.compare.members import Member, held
from reproof.compare.protocol import ContentError, Context, LimitError, Source

#: A central directory beyond it would take more memory than a comparison may (about 100,000 members).
_MAX_DIRECTORY = 16 << 20
_LOCAL = struct.Struct("<4s5H3I2H")
_END_REACH = 22 + 65535 + 20 + 56
_ENCRYPTED, _DESCRIPTOR = 0x1, 0x8
_UNIX = 3


@dataclass(frozen=True)
class Zip:
    """A zip file as far as it matters here.

    Attributes:
        members: Its members in the order of the central directory.
        comment: The comment of the archive.
        unowned: Stretches (start, length) of bytes that belong to no member and no directory.
    """

    members: list[Member]
    comment: bytes
    unowned: list[tuple[int, int]]


@contextmanager
def open_zip(source: Source) -> Iterator[zipfile.ZipFile]:
    """The zip file in `source`, its directory read, within the limits on memory.

    Raises:
        ContentError: It is no zip file, or damaged.
        LimitError: It has too many members.
    """
    _check_directory(source)
    with source.open_buffered() as file:
        try:
            archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError, OSError) as error:
            raise ContentError(f"not a readable zip file: {error}") from None
        with archive:
            yield archive


@contextmanager
def open_member(
    source: Source, archive: zipfile.ZipFile, info: zipfile.ZipInfo, context: Context
) -> Iterator[Source]:
    """The content of one member; of one that is stored as it is, a stretch of the file.

    Of those nothing is copied, and their CRC is not checked: the bytes are what they are.

    Raises:
        ContentError: It is damaged, encrypted, or compressed in a way that is not known here.
        LimitError: It expands beyond the limits.
    """
    if info.flag_bits & _ENCRYPTED:
        raise ContentError("it is encrypted")
    if info.compress_type == zipfile.ZIP_STORED and info.file_size == info.compress_size:
        start, _ = data_place(source, info)
        yield source.part(info.filename, start, info.file_size)
        return
    with _decompressed(archive, info, context) as content:
        yield content


def data_place(source: Source, info: zipfile.ZipInfo) -> tuple[int, int]:
    """Where the (compressed) data of a member begins in the file, and where its local header does.

    Raises:
        ContentError: The local header is damaged or names another member.
    """
    if not 0 <= info.header_offset < source.size:
        raise ContentError(f"the directory says that `{info.filename}` lies outside of the file")
    with source.open() as file:
        file.seek(info.header_offset)
        header = file.read(_LOCAL.size)
        if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
            raise ContentError(f"the local header of `{info.filename}` is damaged")
        fields = _LOCAL.unpack(header)
        name = file.read(fields[9])
    if name != _raw_name(info):
        raise ContentError(f"`{info.filename}` has another name in its local header")
    return info.header_offset + _LOCAL.size + fields[9] + fields[10], info.header_offset


def read_zip(source: Source, archive: zipfile.ZipFile, context: Context) -> Zip:
    """All members of an open zip file, and what else is in it."""
    infos = archive.infolist()
    context.spending.visit(len(infos))
    end = _find_end(source)
    taken = [(archive.start_dir, end.directory_size), (end.start, end.length)]
    members = []
    for info in infos:
        try:
            start, header = data_place(source, info)
            taken.append((header, start + info.compress_size - header))
            locked = "it is encrypted" if info.flag_bits & _ENCRYPTED else None
        except ContentError as error:
            locked = str(error)
        members.append(_member(source, archive, info, context, locked))
    return Zip(members, archive.comment, _gaps(infos, [*taken, (source.size, 0)]))


def _member(
    source: Source, archive: zipfile.ZipFile, info: zipfile.ZipInfo, context: Context, locked: str | None
) -> Member:
    mode = info.external_attr >> 16 if info.create_system == _UNIX else 0
    kind, target = ("folder", None) if info.is_dir() else ("file", None)
    if stat.S_ISLNK(mode) and not locked:
        with open_member(source, archive, info, context) as content:
            kind, target = "symlink", content.read(65536).decode("utf-8", "surrogateescape")
    return Member(
        name=info.filename,
        kind=kind,
        target=target,
        executable=kind == "file" and bool(mode & 0o111),
        noise={
            "zip member dates": info.date_time,
            "zip member permissions": (
                mode & ~0o111 if kind == "file" else mode,
                info.external_attr & 0xFFFF,
            ),
            "zip compression": (info.compress_type, info.compress_size, info.flag_bits & 0x6),
            "zip generator fields": _generator(info),
            "zip extra fields": info.extra,
            "zip comments": info.comment,
        },
        crc=info.CRC,
        open=None if kind == "folder" else lambda: open_member(source, archive, info, context),
        locked=locked,
    )


def _generator(info: zipfile.ZipInfo) -> tuple[int, ...]:
    return (
        info.create_system,
        info.create_version,
        info.extract_version,
        info.flag_bits & ~(_ENCRYPTED | 0x6),
        info.internal_attr,
    )


@contextmanager
def _decompressed(archive: zipfile.ZipFile, info: zipfile.ZipInfo, context: Context) -> Iterator[Source]:
    try:
        stream = archive.open(info)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError, EOFError) as error:
        raise ContentError(f"`{info.filename}` cannot be read: {error}") from None
    with stream, held(cast("BinaryIO", _Careful(stream)), info.filename, context) as content:
        yield content


class _Careful:
    """A member's stream whose failures are all of one kind."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, count: int) -> bytes:
        """Up to `count` bytes; ContentError where the member is damaged."""
        try:
            return self._stream.read(count)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
            raise ContentError(f"damaged: {error}") from None


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437")


@dataclass(frozen=True)
class _End:
    """The records at the end of a zip file: where they start, their bytes, and what they say."""

    start: int
    length: int
    directory_size: int


def _find_end(source: Source) -> _End:
    reach = min(_END_REACH, source.size)
    with source.open() as file:
        file.seek(source.size - reach)
        tail = file.read(reach)
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or end + 22 > len(tail):
        raise ContentError("not a readable zip file: it has no central directory (cut off?)")
    size, comment = struct.unpack_from("<I4xH", tail, end + 12)
    length = 22 + min(comment, len(tail) - end - 22)
    wide = end - 20 - 56
    if wide >= 0 and tail.startswith(b"PK\x06\x06", wide) and tail.startswith(b"PK\x06\x07", end - 20):
        size = struct.unpack_from("<Q", tail, wide + 40)[0]
        end, length = wide, length + 76
    return _End(source.size - reach + end, length, size)


def _check_directory(source: Source) -> None:
    """Refuse a central directory that is too large before it is read into memory."""
    size = _find_end(source).directory_size
    if size > _MAX_DIRECTORY:
        raise LimitError(f"its directory of {size:,} bytes is more than the limit of {_MAX_DIRECTORY:,}")


def _gaps(infos: list[zipfile.ZipInfo], taken: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Stretches before, between and after the members; a data descriptor behind a member is its own."""
    descriptors = {info.header_offset for info in infos if info.flag_bits & _DESCRIPTOR}
    gaps = []
    position, behind = 0, False
    for start, length in sorted(taken):
        if start > position and not (behind and start - position in {12, 16, 20, 24}):
            gaps.append((position, start - position))
        position, behind = max(position, start + length), start in descriptors
    return gaps
