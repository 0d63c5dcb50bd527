"""Reading tar archives: members with their places, what is noise in them, and bytes that nobody owns.

The formats are POSIX ustar and pax, and GNU's; headers are read by the standard library.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from reproof.compare.members import Member, held
from reproof.compare.protocol import ContentError, Context, Source

_BLOCK = 512
_KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.CONTTYPE: "file",
    tarfile.GNUTYPE_SPARSE: "file",
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hard link",
    tarfile.CHRTYPE: "character device",
    tarfile.BLKTYPE: "block device",
    tarfile.FIFOTYPE: "fifo",
}
#: Keys of extended headers that repeat a field of the plain header.
_FIELDS = frozenset(
    {
        "path",
        "linkpath",
        "size",
        "uid",
        "gid",
        "uname",
        "gname",
        "mtime",
        "atime",
        "ctime",
        "hdrcharset",
        "comment",
    }
)


@dataclass(frozen=True)
class Tar:
    """A tar archive as far as it matters here.

    Attributes:
        members: In the order of the archive.
        facts: Attributes that hold for the whole archive (a commit id from git, say).
        format: ``ustar``, ``pax`` or ``gnu``, as far as the headers tell.
        zeros: Bytes of padding behind the last member.
        unowned: Stretches (start, length) that belong to no member and are not zero.
    """

    members: list[Member]
    facts: dict[str, str]
    format: tuple[str, ...]
    zeros: int
    unowned: list[tuple[int, int]]


def read_tar(source: Source, context: Context) -> Tar:
    """Read the headers of a plain (decompressed) tar archive.

    Raises:
        ContentError: It is no tar archive, or cut off.
        LimitError: It has too many members.
    """
    members: list[Member] = []
    unowned: list[tuple[int, int]] = []
    with source.open_buffered() as file:
        try:
            archive: Any = tarfile.open(fileobj=file, mode="r:", errorlevel=2)  # noqa: SIM115  # it owns nothing
            while (info := archive.next()) is not None:
                context.spending.visit()
                archive.members.clear()  # it would keep all of them
                members.append(_member(source, info, archive.pax_headers, context))
                unowned += _rest_of_block(file, info)
                if info.isreg() and info.offset_data + info.size > source.size:
                    raise ContentError(f"it is cut off within `{info.name}`")
        except (tarfile.TarError, ValueError, EOFError, OverflowError, RecursionError) as error:
            raise ContentError(f"not a readable tar archive: {error}") from None
        common = dict(archive.pax_headers)
        zeros, rest = _tail(file, archive.offset, source.size)
    facts = {key: value for key, value in common.items() if _is_fact(key)}
    return Tar(members, facts, _formats(source, bool(common)), zeros, unowned + rest)


def _member(source: Source, info: tarfile.TarInfo, common: dict[str, str], context: Context) -> Member:
    kind = _KINDS.get(info.type, f"member of type {info.type!r}")
    target = info.linkname if info.issym() or info.islnk() else None
    if info.isdev():
        target = f"{info.devmajor}:{info.devminor}" if not info.isfifo() else None
    return Member(
        name=info.name,
        kind=kind,
        target=target,
        executable=info.isreg() and bool(info.mode & 0o111),
        noise={
            "tar member dates": (info.mtime, info.pax_headers.get("atime"), info.pax_headers.get("ctime")),
            "tar member owners": (info.uid, info.gid, info.uname, info.gname),
            "tar comments": info.pax_headers.get("comment"),
            "tar member permissions": info.mode & ~0o111 if info.isreg() else info.mode,
        },
        facts={key: value for key, value in info.pax_headers.items() if _is_fact(key) and key not in common},
        open=(lambda: _content(source, info, context)) if info.isreg() else None,
    )


@contextmanager
def _content(source: Source, info: tarfile.TarInfo, context: Context) -> Iterator[Source]:
    """A stretch of the file; sparse members are unfolded first."""
    if info.sparse is None:
        yield source.part(info.name, info.offset_data, info.size)
        return
    with source.open_buffered() as file, tarfile.open(fileobj=file, mode="r:") as archive:
        stream = archive.extractfile(info)
        if stream is None:
            raise ContentError(f"`{info.name}` has no content")
        with stream, held(cast("BinaryIO", stream), info.name, context) as content:
            yield content


def _is_fact(key: str) -> bool:
    return key not in _FIELDS and not key.startswith("GNU.sparse.")


def _rest_of_block(file: BinaryIO, info: tarfile.TarInfo) -> list[tuple[int, int]]:
    """The end of a member's last block, where it holds anything but zeros."""
    if not info.isreg() or info.sparse is not None:
        return []
    end = info.offset_data + info.size
    length = -end % _BLOCK
    place = file.tell()
    file.seek(end)
    rest = file.read(length)
    file.seek(place)
    return [(end, len(rest))] if rest.strip(b"\0") else []


def _tail(file: BinaryIO, start: int, size: int) -> tuple[int, list[tuple[int, int]]]:
    """What follows the last member: how many zeros, or where the bytes are that are none."""
    file.seek(start)
    position = start
    while chunk := file.read(1 << 20):
        if chunk.strip(b"\0"):
            return 0, [(start, size - start)]
        position += len(chunk)
    return position - start, []


def _formats(source: Source, has_pax_headers: bool) -> tuple[str, ...]:
    mark = source.head(_BLOCK)[257:265]
    words = {b"ustar\x0000": "ustar", b"ustar  \0": "gnu"}.get(mark, "v7")
    return (words, *(["pax"] if has_pax_headers else []))
