"""What every comparator gets and gives: two sources, a context with limits, one difference."""

from __future__ import annotations

import io
import mmap
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast, runtime_checkable

from reproof.compare.special import shown
from reproof.model.difference import Difference
from reproof.model.policy import EXACT, Policy, Tolerance

_MIB = 1 << 20
_HEAD = 4096  # bytes that are kept for recognising; more is read again
_SECONDS = 60.0  # for the smallest files
_SLOWEST = 5e6  # bytes per second: what takes longer per byte will not end


class ContentError(Exception):
    """The content is not what it claims to be, or cannot be read here; the message says why.

    A comparator may raise it at any depth: the registry turns it into UNKNOWN with this reason.
    """


class LimitError(ContentError):
    """Reading on would cost more than the limits allow."""


@dataclass(frozen=True)
class Source:
    """One side of a comparison: a file or folder at `path`, a stretch of a file, or bytes in memory.

    Attributes:
        name: File name (or name of the archive member), for recognising and for people.
        path: The file or folder; None when the content is in memory.
        data: The content; None when it is at `path`.
        start: Where the content begins in the file at `path` (a member that is stored as it is).
        length: Bytes of the content from there; None for all.
    """

    name: str
    path: Path | None = None
    data: bytes | None = field(default=None, repr=False)
    start: int = 0
    length: int | None = None
    _head: list[bytes] = field(default_factory=list, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Names come from anywhere and go into reports: what cannot be printed is escaped."""
        if not self.name.isprintable():
            object.__setattr__(self, "name", shown(self.name))

    @classmethod
    def of(cls, path: Path) -> Source:
        """The file or folder at `path`."""
        return cls(name=path.name, path=path)

    def part(self, name: str, start: int, length: int) -> Source:
        """A stretch of this content as a source of its own; nothing is copied from a file.

        Raises:
            ContentError: It reaches beyond the end.
        """
        if start < 0 or length < 0 or start + length > self.size:
            raise ContentError(f"`{name}` reaches beyond the end of the file")
        if self.data is not None:
            return Source(name=name, data=self.data[start : start + length])
        return Source(name=name, path=self.path, start=self.start + start, length=length)

    @property
    def is_folder(self) -> bool:
        """Whether this is a folder."""
        return self.path is not None and self.path.is_dir()

    @property
    def size(self) -> int:
        """Bytes of the content; OSError as `stat` raises it."""
        if self.data is not None:
            return len(self.data)
        return self._place().stat().st_size if self.length is None else self.length

    def open(self) -> BinaryIO:
        """The content from its beginning, seekable, unbuffered for files; the caller closes it."""
        if self.data is not None:
            return io.BytesIO(self.data)
        # O_NONBLOCK: a fifo that took the place of a file must not stop us; regular files ignore it
        handle = os.open(self._place(), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        whole = io.FileIO(handle, "rb")
        if self.length is None:
            return cast("BinaryIO", whole)
        return cast("BinaryIO", _Stretch(whole, self.start, self.length))

    def open_buffered(self) -> BinaryIO:
        """As :meth:`open`, buffered: for readers that take few bytes at a time."""
        raw = self.open()
        return (
            raw
            if isinstance(raw, io.BytesIO)
            else cast("BinaryIO", io.BufferedReader(cast("io.RawIOBase", raw), _MIB))
        )

    def head(self, count: int = _HEAD) -> bytes:
        """The first `count` bytes, or fewer where the content ends."""
        if self.data is not None:
            return self.data[:count]
        if not self._head or _HEAD <= len(self._head[0]) < count:
            with self.open() as file:
                self._head[:] = [file.read(max(count, _HEAD))]
        return self._head[0][:count]

    def read(self, limit: int) -> bytes:
        """The whole content in memory.

        Raises:
            LimitError: It has more than `limit` bytes.
        """
        if self.data is not None and len(self.data) <= limit:
            return self.data
        data = bytearray()
        with self.open() as file:
            while len(data) <= limit and (chunk := file.read(limit + 1 - len(data))):
                data += chunk
        if len(data) > limit:
            raise LimitError(f"`{self.name}` has more than the limit of {limit} bytes")
        return bytes(data)

    @contextmanager
    def view(self) -> Iterator[memoryview]:
        """The content as one read-only view, mapped and not copied; for random access to large files.

        A file that is cut short while it is mapped would kill the process; use it for files that
        nobody writes to, and :meth:`open` else.
        """
        if self.data is not None:
            yield memoryview(self.data)
            return
        if self.size == 0:
            yield memoryview(b"")
            return
        with self._place().open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        whole = memoryview(mapped)
        view = whole[self.start :] if self.length is None else whole[self.start : self.start + self.length]
        try:
            yield view
        finally:
            # slices that a caller kept (in a traceback, say) hold the map open; the collector ends it then
            try:
                view.release()
                whole.release()
                mapped.close()
            except BufferError:
                pass

    def _place(self) -> Path:
        if self.path is None:
            raise ContentError(f"`{self.name}` has no content")
        return self.path


class _Stretch(io.RawIOBase):
    """A stretch of an open file as a file of its own."""

    def __init__(self, whole: io.FileIO, start: int, length: int) -> None:
        super().__init__()
        self._whole = whole
        self._start = start
        self._length = length
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        if base + offset < 0:
            raise OSError("cannot seek before the beginning")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._length - self._position))
        read = os.preadv(self._whole.fileno(), [view[:count]], self._start + self._position) if count else 0
        self._position += read
        return read

    def close(self) -> None:
        self._whole.close()
        super().close()


@dataclass(frozen=True)
class Limits:
    """How much one comparison may cost.

    Attributes:
        max_depth: Containers within containers.
        max_members: Members of all archives together.
        max_bytes_in_memory: Parsers that need the whole content in memory refuse above it.
        max_bytes_held: A decompressed member above it is kept in a temporary file.
        max_expanded_bytes: Bytes out of all decompression together ...
        max_ratio: ... unless they are fewer than this many times the size of the two files.
        max_children: Differing parts that are kept for each node; more are counted.
        max_nodes: Differing parts that are kept in the whole tree.
        max_values: Values of one structured document or object graph.
        seconds: Wall time; None for a bound that grows with the size of the files.
    """

    max_depth: int = 32
    max_members: int = 250_000
    max_bytes_in_memory: int = 64 * _MIB
    max_bytes_held: int = 16 * _MIB
    max_expanded_bytes: int = 1024 * _MIB
    max_ratio: int = 20
    max_children: int = 1000
    max_nodes: int = 20_000
    max_values: int = 20_000_000
    seconds: float | None = None


class Spending:
    """What a comparison has cost so far; shared by all its contexts."""

    def __init__(self, limits: Limits) -> None:
        """Start the clock."""
        self._limits = limits
        self._size = 0
        self._started = time.monotonic()
        self._members = 0
        self._expanded = 0
        self.nodes = 0

    def allow(self, size: int) -> None:
        """Raise the bounds for `size` more bytes of real files that are to be compared."""
        self._size += size

    @property
    def expired(self) -> bool:
        """Whether the time is over."""
        seconds = self._limits.seconds
        if seconds is None:
            seconds = _SECONDS + self._size / _SLOWEST
        return time.monotonic() > self._started + seconds

    def expand(self, count: int) -> None:
        """Note `count` decompressed bytes.

        Raises:
            LimitError: There are too many of them, or the time is over.
        """
        self._expanded += count
        allowed = max(self._limits.max_expanded_bytes, self._limits.max_ratio * self._size)
        if self._expanded > allowed:
            raise LimitError(f"decompression yields more than the limit of {allowed} bytes")
        self.check_time()

    def visit(self, count: int = 1) -> None:
        """Note `count` members; raises LimitError when there are too many."""
        self._members += count
        if self._members > self._limits.max_members:
            raise LimitError(f"there are more than the limit of {self._limits.max_members} members")

    def check_time(self) -> None:
        """Raises LimitError when the time is over."""
        if self.expired:
            raise LimitError("the comparison takes longer than its time limit")


@dataclass(frozen=True)
class Context:
    """What a comparator may use, and how it compares what is nested.

    Attributes:
        nested: The registry's entry: picks the comparator for two sources; see :meth:`compare`.
        spending: The common account of this comparison.
        tolerance: Bounds for numbers.
        policy: Rules for the members of folders, by their path.
        limits: See :class:`Limits`.
        depth: How many containers are around this content.
    """

    nested: Callable[[Source, Source, str, Context], Difference] = field(repr=False)
    spending: Spending = field(repr=False)
    tolerance: Tolerance = EXACT
    policy: Policy = field(default_factory=Policy)
    limits: Limits = Limits()
    depth: int = 0

    def compare(self, expected: Source, actual: Source, subject: str) -> Difference:
        """Compare nested content with whatever comparator recognises it, one level deeper."""
        return self.nested(expected, actual, subject, replace(self, depth=self.depth + 1))

    def within(self, tolerance: Tolerance) -> Context:
        """The same context with other bounds for numbers."""
        return self if tolerance == self.tolerance else replace(self, tolerance=tolerance)

    def expired(self) -> bool:
        """Whether the time is over; long loops ask now and then and raise LimitError."""
        return self.spending.expired


@runtime_checkable
class Comparator(Protocol):
    """Compares one kind of content. Stateless; made without arguments.

    Total: content that cannot be read never raises anything but :class:`ContentError`, and hostile
    content costs no more than the limits. Content is never executed. Two sides whose bytes are
    equal are never given to a comparator.
    """

    @property
    def name(self) -> str:
        """One word for the kind, for people: ``json``, ``zip`` ..."""

    def recognizes(self, expected: Source, actual: Source) -> bool:
        """Whether both sides are of this kind: by content first, then by name. Reads little."""

    def compare(self, expected: Source, actual: Source, subject: str, context: Context) -> Difference:
        """How the two sides relate; `subject` becomes the subject of the difference."""
