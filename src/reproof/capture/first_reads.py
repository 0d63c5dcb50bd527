"""What inputs hold when a run first opens them, digested while it goes on.

Nobody knows before the start which files a run will read. An input that something changes later, while
the run still goes on, would leave no trace of what was read: so a thread of ours reads each as soon as
it is seen to be opened, by inotify or in what the processes tell.

A digest counts only where the file's ctime is older than a moment before the first open, and `fstat`
says the same before and after reading: then it is the content that the run found. The files are read,
never mapped: one that is cut short under a map would end us.
"""

from __future__ import annotations

import contextlib
import os
import queue
import stat
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from reproof.base.digesting import new_digester
from reproof.base.files import open_plain
from reproof.capture.observations import reads_told

#: Of files that nobody declared so much is read while the run goes on, and no more.
MAX_FILES = 2_000
MAX_BYTES = 1 << 30

_CHUNK = 1 << 20
_PAUSE = 0.1  # seconds between looks at what processes tell
_SETTLE = 0.002  # seconds for the kernel to set the times of a file that is being cut short
_HELD = 32  # files that wait to be closed by the watch
_COARSE = 5  # CLOCK_REALTIME_COARSE of Linux: the clock that times of files are taken from

#: A file as the watch names it: number of the watch, and name within it.
Key = tuple[int, bytes]


class FirstRead(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it was when it was first opened.

    Attributes:
        digests: Algorithm to digest.
        size: Bytes.
        mode: Permission bits.
    """

    digests: dict[str, str]
    size: int
    mode: int


class _Asked(msgspec.Struct, frozen=True):
    """A file to be read: its path and name, the moment (ns) that it was opened after, the watch's key."""

    path: str
    name: str
    since: int
    key: Key | None


def file_clock() -> int:
    """Now, in nanoseconds, by the clock that stamps files: what is written later has no earlier ctime."""
    try:
        return time.clock_gettime_ns(_COARSE)
    except (AttributeError, OSError):  # not Linux: a tick of the coarsest clock that is in use
        return time.time_ns() - 20_000_000


class FirstReads:
    """Reads files at their first open, from entering to leaving a ``with`` block; raises nothing.

    Args:
        wanted: Gives the name of a path that is to be read, None for any other. Called by several threads.
        told: The file that the run's processes append to; what they tell is followed.
        watched: A folder whose files are noted by a watch, not by what processes tell.
    """

    def __init__(
        self, wanted: Callable[[str], str | None], told: Path | None = None, watched: Path | None = None
    ) -> None:
        self._wanted = wanted
        self._told = told
        self._watched = f"{watched}/" if watched is not None else "\0"
        self._position = 0
        self._due = 0.0
        self._started = 0
        self._left = MAX_BYTES
        self._asked: set[str] = set()
        self._found: dict[str, FirstRead] = {}
        self._queue: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._finished: deque[tuple[Key, int]] = deque()
        self._slots = threading.Semaphore(_HELD)
        self._wake: tuple[int, int] | None = None
        self._thread: threading.Thread | None = None

    @property
    def found(self) -> dict[str, FirstRead]:
        """Name to what was found; complete once the block is left."""
        return dict(self._found)

    @property
    def is_full(self) -> bool:
        """Whether no further file is read."""
        return len(self._asked) >= MAX_FILES or self._left <= 0

    @property
    def bell(self) -> int:
        """A descriptor that becomes readable when there is something in :meth:`take_finished`."""
        assert self._wake is not None
        return self._wake[0]

    def __enter__(self) -> Self:
        self._started = file_clock()
        self._wake = os.pipe()
        for end in self._wake:
            os.set_blocking(end, False)
        self._thread = threading.Thread(target=self._work, name="reproof-first-reads", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._slots.release()
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()
        for _, handle in self.take_finished():
            os.close(handle)
        for end in self._wake or ():
            os.close(end)

    def note(self, path: str, since: int, key: Key | None = None) -> None:
        """A file was opened, not earlier than `since` (:func:`file_clock`).

        With a `key` the descriptor that is used comes back through :meth:`take_finished`, for a watch
        that must know which closing is ours.
        """
        if self.is_full or path in self._asked:
            return
        name = self._wanted(path)
        if name is not None:
            self._asked.add(path)
            self._queue.put(_Asked(path, name, since, key))

    def take_finished(self) -> list[tuple[Key, int]]:
        """Descriptors that are done with, for the caller to close, each with its key."""
        with contextlib.suppress(OSError):
            if self._wake is not None:
                os.read(self._wake[0], _HELD * 2)
        taken = []
        with contextlib.suppress(IndexError):
            while True:
                taken.append(self._finished.popleft())
                self._slots.release()
        return taken

    def _work(self) -> None:
        while not self._stopped.is_set():
            if time.monotonic() >= self._due:
                self._follow()
                self._due = time.monotonic() + _PAUSE
            try:
                asked = self._queue.get(timeout=_PAUSE)
            except queue.Empty:
                continue
            if asked is not None and not self._stopped.is_set():
                with contextlib.suppress(OSError, ValueError):  # a name with NUL
                    self._read(asked)

    def _follow(self) -> None:
        """Note the files that processes have told of since the last look."""
        if self._told is None or self.is_full:
            return
        try:
            size = os.stat(self._told).st_size  # noqa: PTH116  # ten times a second
            if size <= self._position:
                return
            with open_plain(self._told) as file:  # the run could have put anything in its place
                file.seek(self._position)
                data = file.read(_CHUNK)
        except OSError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._position += len(whole) or (len(data) if len(data) == _CHUNK else 0)
        for path in reads_told(whole):
            if not path.startswith(self._watched):
                self.note(path, self._started)

    def _read(self, asked: _Asked) -> None:
        if not stat.S_ISREG(os.stat(asked.path).st_mode):  # noqa: PTH116  # bytes that are no UTF-8
            return
        handle = os.open(asked.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            found = self._digest(handle, asked.since)
            if found is not None:
                self._found.setdefault(asked.name, found)
        finally:
            self._let_go(asked.key, handle)

    def _digest(self, handle: int, since: int) -> FirstRead | None:
        before = os.fstat(handle)
        if not stat.S_ISREG(before.st_mode) or before.st_ctime_ns >= since or before.st_size > self._left:
            return None
        if not before.st_size:  # maybe just emptied by who opened it: the kernel sets times after the size
            return None
        self._left -= before.st_size
        digester = new_digester("blake3")
        while chunk := os.read(handle, _CHUNK):
            digester.update(chunk)
            if self._stopped.is_set():  # the run is over: what follows reads it anyway
                return None
        time.sleep(_SETTLE)
        after = os.fstat(handle)
        if _state(before) != _state(after):
            return None
        digests = {"blake3": str(digester.hexdigest())}
        return FirstRead(digests=digests, size=before.st_size, mode=stat.S_IMODE(before.st_mode))

    def _let_go(self, key: Key | None, handle: int) -> None:
        if key is None or self._wake is None:
            os.close(handle)
            return
        self._slots.acquire()
        self._finished.append((key, handle))
        with contextlib.suppress(BlockingIOError):  # it rings already
            os.write(self._wake[1], b"\0")


def _state(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
