"""Which files below a folder are opened while a command runs, by whatever program, through inotify.

The audit hook in the child sees what Python opens; pyarrow, HDF5 or a shell open files by
themselves. inotify sees every open of a watched folder's files, but not by which process: what is
only seen here is reported as opened by an unknown process.

Order matters, because it sees our own opens too: scan and digest first, start the watch, run the
command, stop the watch, then digest what was made. What is read while it is on, at the first open of an
input, is closed by the thread that takes the events, which so knows the closing for ours.

Bounds: folders, remembered paths and the kernel's queue are limited; what a limit cost is stated
as an omission. Linux only; elsewhere the whole watch is one omission.

Format of events and meaning of masks: inotify(7).
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import stat
import struct
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from reproof.capture.first_reads import FirstReads, Key, file_clock
from reproof.capture.tree import EXCLUDED, Exclusions, Tree, scan
from reproof.model.record import Omission

_CLOSE_WRITE = 0x00000008
_CLOSE_NOWRITE = 0x00000010
_OPEN = 0x00000020
_MOVED_TO = 0x00000080
_CREATE = 0x00000100
_OVERFLOW = 0x00004000
_ONLYDIR = 0x01000000
_ISDIR = 0x40000000
_NONBLOCK, _CLOEXEC = 0o4000, 0o2000000

_FILE_MASK = _OPEN | _CLOSE_WRITE | _CLOSE_NOWRITE
_FOLDER_MASK = _FILE_MASK | _CREATE | _MOVED_TO | _ONLYDIR
_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name that follows
_BUFFER = 1 << 20
_PAUSE = 0.01  # seconds between reads: one wake-up for many opens costs less than one for each

_MAX_FOLDERS = 200_000
_MAX_OPENED = 1_000_000


class Watch:
    """Watches `top` from entering to leaving a ``with`` block.

    Entering and leaving never raise; what could not be watched is in :attr:`omissions`.

    Args:
        top: The folder; files that symlinks below it point to, outside it, are watched too and
            reported under the name of the symlink.
        excluded: What is not watched; see :data:`reproof.capture.tree.EXCLUDED`.
        tree: A scan of `top` with the same exclusions, made just before, to save another.
        first: Told of each file at its first open; entered already.
        elsewhere: Names below `top` of files and folders that the run sees there, and where they lie.
    """

    def __init__(
        self,
        top: Path,
        excluded: tuple[str, ...] = EXCLUDED,
        *,
        tree: Tree | None = None,
        first: FirstReads | None = None,
        elsewhere: Mapping[str, Path] | None = None,
    ) -> None:
        self._top = os.fspath(top)
        self._real_top = os.path.realpath(top)
        self._excluded = excluded
        self._exclusions = Exclusions(excluded)
        self._tree = tree
        self._first = first
        self._elsewhere = elsewhere or {}
        self._since = 0  # all that happened before is known; by the clock of files
        self._places: dict[int, set[str]] = {}  # watch to names below the top; several with symlinks
        self._files: set[int] = set()
        self._seen: set[Key] = set()
        self._closed: set[Key] = set()  # by whoever only read
        self._written: set[Key] = set()  # before anybody who only read had closed them
        self._trouble: dict[str, str] = {}
        self._inotify: _Inotify | None = None
        self._thread: threading.Thread | None = None
        self._stop: tuple[int, int] | None = None

    @property
    def opened(self) -> set[Path]:
        """Files below the top that were opened by any process; complete once the block is left."""
        return {Path(path) for path in self.opened_paths}

    @property
    def opened_paths(self) -> set[str]:
        """The same as text, which is much faster for a hundred thousand files."""
        return self._named(list(self._seen))

    @property
    def written_first(self) -> set[str]:
        """Files that were written, or moved there, before anything that only read them was done with them."""
        return self._named(list(self._written))

    def _named(self, keys: list[Key]) -> set[str]:
        found: set[str] = set()
        hidden: dict[str, bool] = {"": False}
        for watch, name in keys:
            text = os.fsdecode(name.rstrip(b"\0"))
            for place in self._places.get(watch, ()):
                folder, _, leaf = place.rpartition("/") if watch in self._files else (place, "", text)
                if folder not in hidden:
                    hidden[folder] = self._exclusions.covers(folder)
                path = f"{folder}/{leaf}" if folder else leaf
                if not hidden[folder] and not self._exclusions.leaves_out(leaf, path):
                    found.add(f"{self._top}/{path}")
        return found

    @property
    def omissions(self) -> tuple[Omission, ...]:
        """What was not watched, and why."""
        return tuple(Omission(subject=subject, reason=reason) for subject, reason in self._trouble.items())

    def __enter__(self) -> Self:
        try:
            self._inotify = _Inotify()
        except OSError as error:
            self._omit(f"native reads are not seen: {_explain(error)}")
            return self
        self._add_tree()
        for name, place in self._elsewhere.items():
            if place.is_dir():
                self._add_outside(name, os.fspath(place))
            else:
                self._add(name, os.fspath(place), _FILE_MASK, through_symlink=True)
        self._since = file_clock()
        self._stop = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._listen, name="reproof-watch", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is None or self._stop is None or self._inotify is None:
            return
        os.close(self._stop[1])  # the reader takes what is queued, and ends
        self._thread.join()
        os.close(self._stop[0])
        self._inotify.close()
        self._thread = None

    def _listen(self) -> None:
        try:
            self._take_until_stopped()
        except Exception as error:  # evidence that is incomplete must say so
            self._omit(f"the watch ended early: {error}")

    def _take_until_stopped(self) -> None:
        """Take events until told to end, and then what is queued; the pauses let many be read at once."""
        assert self._inotify is not None
        assert self._stop is not None
        poll = select.poll()
        poll.register(self._inotify.handle, select.POLLIN)
        poll.register(self._stop[0], select.POLLIN)
        if self._first is not None:
            poll.register(self._first.bell, select.POLLIN)
        ending = False
        while not ending:
            ready = {handle for handle, _ in poll.poll()}
            ending = self._stop[0] in ready
            now = file_clock()
            while data := self._inotify.read():
                self._take(data)
                if len(data) < _BUFFER // 2:  # that was all
                    self._since = now
                if not ending:
                    time.sleep(_PAUSE)
                now = file_clock()
            self._since = now
            if self._first is not None:
                self._close_ours(self._first.take_finished())

    def _close_ours(self, finished: list[tuple[Key, int]]) -> None:
        """Close what was read at its first open, right after all other events were taken."""
        if finished:
            for _, handle in finished:
                os.close(handle)
            assert self._inotify is not None
            self._take(self._inotify.read(), {key for key, _ in finished})

    def _take(self, data: bytes, ours: set[Key] | None = None) -> None:
        """Note the opens among the events in `data`; watch folders and symlinks that are new.

        Of the files in `ours` one closing after reading is our own.
        """
        position, end = 0, len(data)
        seen, header, fresh = self._seen, _EVENT.size, []
        while position < end:
            watch, mask, _, length = _EVENT.unpack_from(data, position)
            start = position + header
            position = start + length
            if mask & _OPEN:
                key = (watch, data[start:position])
                if not mask & _ISDIR and key not in seen and len(seen) < _MAX_OPENED:
                    seen.add(key)
                    fresh.append(key)
            elif mask & (_CLOSE_WRITE | _CLOSE_NOWRITE):
                key = (watch, data[start:position])
                if ours and key in ours and not mask & _CLOSE_WRITE:
                    ours.discard(key)
                elif not mask & _ISDIR:
                    self._closes(key, wrote=bool(mask & _CLOSE_WRITE))
            elif mask & (_CREATE | _MOVED_TO):
                self._closes((watch, data[start:position]), wrote=True)
                self._appeared(
                    watch, os.fsdecode(data[start:position].rstrip(b"\0")), is_folder=bool(mask & _ISDIR)
                )
            elif mask & _OVERFLOW:
                self._omit("too many files were opened at once: some native reads were not seen")
        if len(seen) >= _MAX_OPENED:
            self._omit(f"more than {_MAX_OPENED:,} files were opened: further native reads are not told")
        if self._first is not None:
            self._tell(fresh, self._first)

    def _tell(self, fresh: list[Key], first: FirstReads) -> None:
        for key in fresh:
            if first.is_full:
                return
            for path in self._named([key]):
                first.note(path, self._since, key)

    def _closes(self, key: Key, *, wrote: bool) -> None:
        if not wrote:
            self._closed.add(key)
        elif key not in self._closed:
            self._written.add(key)

    def _appeared(self, watch: int, name: str, *, is_folder: bool) -> None:
        for place in sorted(self._places.get(watch, ())):
            path = f"{place}/{name}" if place else name
            if self._exclusions.leaves_out(name, path):
                continue
            if is_folder:
                self._add_tree(path)
            elif _is_symlink(f"{self._top}/{path}"):
                self._add_symlink(path)

    def _add_tree(self, name: str = "") -> None:
        """Watch the folder `name` below the top with all folders in it, and where symlinks lead."""
        if name and not self._add_folder(name, f"{self._top}/{name}"):
            return  # before scanning it: what appears from here on makes an event
        try:
            given = self._tree if not name else None
            tree = given if given is not None else scan(Path(f"{self._top}/{name}"), self._excluded)
        except OSError as error:
            if not name or error.errno != errno.ENOENT:
                self._omit(f"cannot be read: {error.strerror}", name)
            return
        for folder in tree.folders if not name else tree.folders[1:]:
            path = f"{name}/{folder}" if name else folder
            if not self._add_folder(path, f"{self._top}/{path}"):
                return
        for link in tree.symlinks:
            self._add_symlink(f"{name}/{link}" if name else link)

    def _add_symlink(self, name: str) -> None:
        """Watch what the symlink `name` leads to, unless that is watched in its own place."""
        target = os.path.realpath(f"{self._top}/{name}")
        if self._is_watched_itself(target):
            return
        try:
            mode = os.stat(target).st_mode  # noqa: PTH116  # the kind decides, whatever it leads to
        except OSError:
            return  # broken or looping: nothing can be opened through it
        if stat.S_ISREG(mode):
            self._add(name, target, _FILE_MASK, through_symlink=True)
        elif stat.S_ISDIR(mode):
            self._add_outside(name, target)

    def _add_outside(self, name: str, target: str) -> None:
        """Watch a folder outside the top, and those in it; symlinks within it are not followed."""
        try:
            tree = scan(Path(target), self._excluded)
        except OSError as error:
            self._omit(f"cannot be read: {error.strerror}", name)
            return
        for folder in tree.folders:
            path, place = (name, target) if not folder else (f"{name}/{folder}", f"{target}/{folder}")
            if not self._add_folder(path, place, through_symlink=True):
                return

    def _is_watched_itself(self, target: str) -> bool:
        base = self._real_top.rstrip("/") + "/"
        if target == self._real_top:
            return True
        return target.startswith(base) and not self._exclusions.covers(target[len(base) :])

    def _add_folder(self, name: str, place: str, *, through_symlink: bool = False) -> bool:
        """Watch one folder; False when no more can be watched."""
        if len(self._places) >= _MAX_FOLDERS:
            self._omit(f"more than {_MAX_FOLDERS:,} folders: native reads in further ones are not seen")
            return False
        return self._add(name, place, _FOLDER_MASK, through_symlink=through_symlink)

    def _add(self, name: str, place: str, mask: int, *, through_symlink: bool) -> bool:
        assert self._inotify is not None
        try:
            watch = self._inotify.add(place, mask)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return True  # gone since it was seen
            if error.errno in (errno.ENOSPC, errno.ENOMEM):
                self._omit(f"native reads in some folders are not seen: {_explain(error)}")
                return False
            self._omit(f"native reads are not seen: {error.strerror}", name)
            return True
        if mask == _FILE_MASK:
            self._files.add(watch)
        known = self._places.setdefault(watch, set())
        if not through_symlink:
            known.clear()  # a folder has one place; known already, it was moved here
        known.add(name)
        return True

    def _omit(self, reason: str, name: str = "") -> None:
        self._trouble.setdefault(name or "files read by native code", reason)


class _Inotify:
    """The three system calls, through the C library."""

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise OSError(errno.ENOSYS, "inotify is there on Linux only")
        library = ctypes.CDLL(None, use_errno=True)
        self._add_watch = library.inotify_add_watch
        self._add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
        self.handle: int = library.inotify_init1(_NONBLOCK | _CLOEXEC)
        if self.handle < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    def add(self, place: str, mask: int) -> int:
        """Watch a folder or file; the number of the watch. OSError as the kernel says."""
        watch: int = self._add_watch(self.handle, os.fsencode(place), mask)
        if watch < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), place)
        return watch

    def read(self) -> bytes:
        """Whole events that are queued; empty when there are none."""
        try:
            return os.read(self.handle, _BUFFER)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Let go of the kernel's queue."""
        os.close(self.handle)


def _explain(error: OSError) -> str:
    limits = {
        errno.ENOSPC: "the limit fs.inotify.max_user_watches is reached",
        errno.EMFILE: "the limit fs.inotify.max_user_instances is reached",
    }
    return limits.get(error.errno or 0, error.strerror or str(error))


def _is_symlink(path: str) -> bool:
    try:
        return stat.S_ISLNK(os.lstat(path).st_mode)
    except OSError:
        return False
