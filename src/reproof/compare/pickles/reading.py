"""Opening pickle files: one or several pickles, plain or compressed as joblib does it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import IO, Any, BinaryIO, cast

from reproof.compare.members import held
from reproof.compare.pickles.machine import Machine
from reproof.compare.protocol import ContentError, Context, LimitError, Source
from reproof.compare.trees import uncollected

SUFFIXES = (".pkl", ".pickle", ".p", ".pck", ".joblib", ".sav", ".cloudpickle", ".dill")
COMPRESSED = (".gz", ".z", ".bz2", ".xz", ".lzma", ".lz4")
_MAGICS = {
    "gzip": (b"\x1f\x8b",),
    "zlib": (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"),
    "bz2": (b"BZh",),
    "xz": (b"\xfd7zXZ\x00",),
    "lzma": (b"\x5d\x00\x00",),
    "lz4": (b"\x04\x22\x4d\x18",),
}
_TEXT_STARTS = b"(]}cNIFLSUVXKMJG\x88\x89"
_HEAD = 64
_CHUNK = 1 << 16
_MEMORY = 256 << 20
_MAX_PICKLES = 10_000


@dataclass
class Content:
    """What a file holds.

    Attributes:
        roots: The tree of each pickle.
        loose: Calls that nobody keeps the result of.
        protocols: The protocol of each pickle.
        anomalies: What no pickler writes.
        rest: Bytes behind the last pickle.
        weight: Estimated bytes of the trees.
        shared: Ids of the nodes that stand in several places; None where nobody counted.
    """

    roots: list[Any] = field(default_factory=list)
    loose: list[Any] = field(default_factory=list)
    protocols: list[int] = field(default_factory=list)
    anomalies: list[str] = field(default_factory=list)
    rest: memoryview = field(default_factory=lambda: memoryview(b""))
    weight: int = 0
    shared: set[int] | None = None


def looks_like_pickle(source: Source) -> bool:
    """Whether the content, decompressed where it is, begins like a pickle; of protocol 0 also by name."""
    head = source.head(_HEAD)
    method = compression(head)
    name = source.name.lower()
    if method is not None:
        try:
            with source.open() as file, _decompressed(file, method) as plain:
                head = plain.read(_HEAD)
        except (ContentError, OSError, EOFError, zlib.error, lzma.LZMAError):
            return False
        for ending in COMPRESSED:
            name = name.removesuffix(ending)
    if len(head) > 2 and head[0] == 0x80 and 2 <= head[1] <= 5:
        return True
    return bool(head) and head[0] in _TEXT_STARTS and name.endswith(SUFFIXES)


def compression(head: bytes) -> str | None:
    """The name of the compression that `head` begins with, or None."""
    for name, magics in _MAGICS.items():
        if head.startswith(magics):
            return name
    return None


@contextmanager
def opened(source: Source, context: Context) -> Iterator[tuple[memoryview, str | None]]:
    """A view of the content, decompressed, and the name of the compression.

    Raises:
        ContentError: It is damaged, or nothing here can decompress it.
        LimitError: It expands beyond the limits.
    """
    method = compression(source.head(_HEAD))
    if method is None:
        with source.view() as view:
            yield view, None
        return
    with source.open() as file, _decompressed(file, method) as plain:
        guarded = cast("BinaryIO", _Guarded(plain, method))
        with held(guarded, source.name, context) as content, content.view() as view:
            yield view, method


def read_all(
    view: memoryview, context: Context, persistent: Callable[[Any], Any] | None = None, *, compressed: bool
) -> Content:
    """Read the pickles that stand one behind the other in `view`.

    Raises:
        ContentError: The first one cannot be read.
        LimitError: They cost too much.
    """
    content = Content(shared=set())
    position = 0
    while position < len(view):
        machine = Machine(view, context.spending.check_time, persistent)
        machine.weight = content.weight
        try:
            with uncollected():
                root, end = machine.read(position)
        except LimitError:
            raise
        except ContentError:
            if not content.roots:
                raise
            break
        content.roots.append(root)
        content.loose += machine.loose
        content.shared = (content.shared or set()) | machine.shared
        content.protocols.append(machine.protocol)
        content.anomalies += machine.anomalies[: 20 - len(content.anomalies)]
        content.weight = machine.weight + 2000
        if len(machine.mappable) > 1 or (False in machine.mappable and not compressed):
            content.anomalies.append("arrays of joblib that may not be mapped although they could")
        position = end
        if len(content.roots) >= _MAX_PICKLES:
            raise LimitError(f"there are more than {_MAX_PICKLES:,} pickles in one file")
    if not content.roots:
        raise ContentError("there is no pickle in it")
    content.rest = view[position:]
    return content


class _Guarded:
    """A decompressing stream whose errors are those of content."""

    def __init__(self, plain: IO[bytes], method: str) -> None:
        self._plain = plain
        self._method = method

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; ContentError where the compression is damaged."""
        try:
            return self._plain.read(size)
        except (OSError, EOFError, zlib.error, lzma.LZMAError, RuntimeError) as error:
            raise ContentError(f"its {self._method} compression is damaged: {error}") from None


@contextmanager
def _decompressed(file: BinaryIO, method: str) -> Iterator[IO[bytes]]:
    if method == "gzip":
        with gzip.GzipFile(fileobj=file) as plain:
            yield cast("IO[bytes]", plain)
    elif method == "bz2":
        with bz2.BZ2File(file) as plain:
            yield cast("IO[bytes]", plain)
    elif method in ("xz", "lzma"):
        yield cast("IO[bytes]", _Lzma(file))
    elif method == "zlib":
        yield cast("IO[bytes]", _Zlib(file))
    elif find_spec("lz4") is not None:
        with import_module("lz4.frame").LZ4FrameFile(file) as plain:
            yield plain
    else:
        raise ContentError("it is compressed with lz4, and the package `lz4` is not installed here")


class _Zlib:
    """The stream of a zlib file; joblib's default compression."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflate = zlib.decompressobj()

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; EOFError or OSError where the file is not one whole stream."""
        while not self._inflate.eof:
            fed = self._inflate.unconsumed_tail or self._file.read(_CHUNK)
            if not fed:
                raise EOFError("it is cut short")
            found = self._inflate.decompress(fed, size)
            if found:
                return found
        if self._inflate.unused_data or self._file.read(1):
            raise OSError("bytes follow behind its end")
        return b""


class _Lzma:
    """The stream of an xz or lzma file, within a limit on the memory that its header may ask for."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflate = lzma.LZMADecompressor(memlimit=_MEMORY)

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; EOFError or OSError where the file is not one whole stream."""
        while not self._inflate.eof:
            fed = self._file.read(_CHUNK) if self._inflate.needs_input else b""
            if not fed and self._inflate.needs_input:
                raise EOFError("it is cut short")
            found = self._inflate.decompress(fed, size)
            if found:
                return found
        if self._inflate.unused_data or self._file.read(1):
            raise OSError("bytes follow behind its end")
        return b""
