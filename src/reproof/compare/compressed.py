"""One content in a compressed stream: gzip (RFC 1952), bzip2, xz, zstandard (RFC 8878)."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Self, cast

from reproof.compare.members import held
from reproof.compare.protocol import ContentError, Context, Source
from reproof.model.difference import Difference, Outcome, combine

_CHUNK = 1 << 20
_MEMORY = 256 << 20  # of the decompressor itself: xz and zstandard name the size of their dictionary
_FTEXT, _FHCRC, _FEXTRA, _FNAME, _FCOMMENT = 1, 2, 4, 8, 16


@dataclass(frozen=True)
class Header:
    """What a compressed file says besides its content, by the name under which it is set aside.

    Attributes:
        noise: Names and values; where one differs its name is listed.
        length: Bytes of the header.
        name: Recorded file name, where there is one.
    """

    noise: dict[str, Any] = field(default_factory=dict)
    length: int = 0
    name: str | None = None


class GzipComparator:
    """Gzip: date, file name, comment, generator and level are set aside; the content is compared."""

    name = "gzip"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Both begin with the mark and the one method there is."""
        return _begin_with((b"\x1f\x8b\x08",), expected, actual)

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """One child: the content."""
        headers = _gzip_header(expected), _gzip_header(actual)
        pair = _Pair(expected, actual, headers)
        return pair.compare(self.name, _open_gzip, subject, context)


class Bzip2Comparator:
    """Bzip2: level and blocks are set aside; the content is compared."""

    name = "bzip2"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Both begin with the mark."""
        return _begin_with((b"BZh",), expected, actual)

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """One child: the content."""
        pair = _Pair(expected, actual, (Header(), Header()))
        return pair.compare(self.name, _open_bzip2, subject, context)


class XzComparator:
    """Xz: level, filters and checks are set aside; the content is compared."""

    name = "xz"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Both begin with the mark."""
        return _begin_with((b"\xfd7zXZ\0",), expected, actual)

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """One child: the content."""
        pair = _Pair(expected, actual, (Header(), Header()))
        return pair.compare(self.name, _open_xz, subject, context)


class ZstdComparator:
    """Zstandard: level and frames are set aside; the content is compared."""

    name = "zstd"

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Both begin with the mark of a frame."""
        return _begin_with((b"\x28\xb5\x2f\xfd",), expected, actual)

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """One child: the content."""
        pair = _Pair(expected, actual, (Header(), Header()))
        return pair.compare(self.name, _open_zstd, subject, context)


@dataclass(frozen=True)
class _Pair:
    expected: Source
    actual: Source
    headers: tuple[Header, Header]

    def compare(
        self, kind: str, opener: Callable[[BinaryIO], BinaryIO], subject: str, context: Context
    ) -> Difference:
        """Compare what lies within as a member named `subject`, after the headers."""
        context.spending.visit(2)
        with ExitStack() as stack:
            sides = [
                stack.enter_context(_content(side, opener, kind, context))
                for side in (self.expected, self.actual)
            ]
            content = context.compare(sides[0], sides[1], "content")
        before, after = (header.noise for header in self.headers)
        names = {name for name in {*before, *after} if before.get(name) != after.get(name)}
        if content.outcome is Outcome.IDENTICAL and self._bodies_differ():
            names.add(f"{kind} compression")
        shown = (content,) if content.outcome is not Outcome.IDENTICAL else ()
        others = f"; other {', '.join(sorted(names))}" if names else ""
        return combine(
            subject,
            shown,
            kind=kind,
            summary=f"content: {content.summary}{others}",
            canonicalised=tuple(sorted(names)),
        )

    def _bodies_differ(self) -> bool:
        from reproof.compare.bytewise import equal_bytes

        bodies = [
            side.part(side.name, header.length, side.size - header.length)
            for side, header in zip((self.expected, self.actual), self.headers, strict=True)
        ]
        return not equal_bytes(bodies[0], bodies[1])


@contextmanager
def _content(
    side: Source, opener: Callable[[BinaryIO], BinaryIO], kind: str, context: Context
) -> Iterator[Source]:
    with side.open_buffered() as file, opener(file) as stream:
        careful = cast("BinaryIO", _Careful(stream, kind))
        with held(careful, _inner_name(side.name), context) as content:
            yield content


class _Careful:
    """A stream whose failures are all of one kind."""

    def __init__(self, stream: BinaryIO, kind: str) -> None:
        self._stream = stream
        self._kind = kind

    def read(self, count: int) -> bytes:
        """Up to `count` bytes; ContentError where the stream is damaged or cut off."""
        try:
            return self._stream.read(count)
        except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
            raise ContentError(f"the {self._kind} stream is damaged or cut off: {error}") from None


def _open_gzip(file: BinaryIO) -> BinaryIO:
    return cast("BinaryIO", gzip.GzipFile(fileobj=file, mode="rb"))


def _open_bzip2(file: BinaryIO) -> BinaryIO:
    return cast("BinaryIO", _Streams(file, bz2.BZ2Decompressor))


def _open_xz(file: BinaryIO) -> BinaryIO:
    return cast("BinaryIO", _Streams(file, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)))


def _open_zstd(file: BinaryIO) -> BinaryIO:
    import pyarrow as pa

    return cast("BinaryIO", pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd"))


class _Streams:
    """Compressed streams one after the other, to the last byte, with a bound on the memory.

    The readers of the standard library pass over what follows a bzip2 stream, and have no bound on
    the memory that an xz file may ask for (4 GiB).
    """

    def __init__(self, file: BinaryIO, new: Callable[[], Any]) -> None:
        self._file = file
        self._new = new
        self._decompressor: Any = None
        self._rest = b""
        self._begin(b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self._decompressor = None

    def read(self, count: int) -> bytes:
        """Up to `count` bytes of the streams one behind the other; nothing at the end."""
        while self._decompressor is not None:
            if self._decompressor.eof:
                self._begin(self._decompressor.unused_data)
                continue
            data = b""
            if self._decompressor.needs_input:
                data, self._rest = self._rest or self._file.read(_CHUNK), b""
                if not data:
                    raise EOFError("the end of the stream is missing")
            out: bytes = self._decompressor.decompress(data, count)
            if out:
                return out
        return b""

    def _begin(self, rest: bytes) -> None:
        """Begin with the next stream, if there is one; zeros may stand between (xz format 1.1, 2.2)."""
        self._decompressor = None
        while not (rest := rest.lstrip(b"\0")):
            rest = self._file.read(_CHUNK)
            if not rest:
                return
        self._rest = rest
        self._decompressor = self._new()


def _gzip_header(side: Source) -> Header:
    """The header of the first member; those of further ones count as compression."""
    head = side.head(70_000)
    if len(head) < 10:
        raise ContentError("the gzip header is cut off")
    flags, date, level, system = struct.unpack_from("<BIBB", head, 3)
    position = 10
    extra = b""
    if flags & _FEXTRA:
        (length,) = struct.unpack_from("<H", head.ljust(12, b"\0"), 10)
        extra = head[12 : 12 + length]
        position = 12 + length
    texts = {}
    for flag in (_FNAME, _FCOMMENT):
        if flags & flag:
            end = head.find(b"\0", position)
            if end < 0:
                raise ContentError("the gzip header is cut off, or longer than 70,000 bytes")
            texts[flag] = head[position:end]
            position = end + 1
    position += 2 if flags & _FHCRC else 0
    if position > side.size:
        raise ContentError("the gzip header is cut off")
    noise = {
        "gzip date": date,
        "gzip file name": texts.get(_FNAME),
        "gzip comment": texts.get(_FCOMMENT),
        "gzip generator": (level, system, flags & (_FTEXT | _FHCRC)),
        "gzip extra field": extra,
    }
    return Header(noise, position)


def _inner_name(name: str) -> str:
    lower = name.lower()
    for ending, instead in ((".tgz", ".tar"), (".tbz2", ".tar"), (".txz", ".tar"), (".tzst", ".tar")):
        if lower.endswith(ending):
            return name[: -len(ending)] + instead
    for ending in (".gz", ".bz2", ".xz", ".zst", ".zstd"):
        if lower.endswith(ending):
            return name[: -len(ending)]
    return name


def _begin_with(marks: tuple[bytes, ...], *sides: Source) -> bool:
    return all(side.head(16).startswith(marks) for side in sides)
