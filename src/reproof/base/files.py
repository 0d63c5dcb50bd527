"""Files that are whole or absent, and copies that share nothing with their source."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

_FICLONE = 0x40049409  # ioctl of Linux btrfs/xfs/...: share extents, copy on write
_CHUNK = 1 << 20
_SMALL = 1 << 20  # bytes up to which content goes through memory at once


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
    """Write `data` to `path` so that a reader, or a crash, sees the old file or the new one.

    With `durable` False it is not forced to the disk: for what can be made again, and is seen to
    be damaged after a power failure. Forcing costs seconds after much other data was written.
    Parent folders are made. Raises OSError as the file system does (disk full, read-only); the
    temporary file is removed then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            if durable:
                os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    if durable:
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames within `path` durable, where the file system can."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def copy_private(source: Path, target: Path, *, mode: int | None = None, only_shared: bool = False) -> bool:
    """Copy a regular file so that writing to one never changes the other.

    A reflink where the file system can, else a copy; never a hard link. `mode` sets the
    permission bits, else those of the source hold, writable by the owner.

    With `only_shared` nothing is left at `target` where blocks cannot be shared.

    Returns:
        Whether the two share their blocks, so that the copy took no room.

    Raises:
        OSError: `source` cannot be read or is a folder, or `target` exists or cannot be written.
    """
    reader = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        status = os.fstat(reader)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(source))
        writer = _create(target)
        try:
            shared = _share(reader, writer)
            if not shared and only_shared:
                target.unlink()
                return False
            if not shared:
                _copy(reader, writer, status.st_size)
            os.fchmod(writer, mode if mode is not None else stat.S_IMODE(status.st_mode) | stat.S_IWUSR)
        finally:
            os.close(writer)
    finally:
        os.close(reader)
    return shared


def _create(target: Path) -> int:
    """Open a new file for writing; its folder is made when it is missing."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(target, flags, 0o666)
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
        return os.open(target, flags, 0o666)


def _share(reader: int, writer: int) -> bool:
    try:
        fcntl.ioctl(writer, _FICLONE, reader)
    except OSError:
        return False
    return True


def _copy(reader: int, writer: int, size: int) -> None:
    while chunk := os.read(reader, min(size + 1, _CHUNK)):
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(writer, rest) :]


def read_plain(path: Path, limit: int | None = None) -> bytes:
    """The content of a regular file that a stranger may have written: no link is followed, no pipe waited for.

    Args:
        path: The file; its folder is trusted.
        limit: Bytes to read at most; the rest is left out.

    Raises:
        OSError: It is absent, a link, or no regular file.
    """
    with open_plain(path) as file:
        return file.read() if limit is None else file.read(limit)


def open_plain(path: Path) -> BufferedReader:
    """Open a file as :func:`read_plain` does.

    Raises:
        OSError: It is absent, a link, or no regular file.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(handle, "rb")


def read_small(place: str) -> bytes | None:
    """The whole of a regular file below 1 MiB; None where there is none, and for anything out of the ordinary."""
    try:
        reader = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(reader)
            if not stat.S_ISREG(status.st_mode) or status.st_size >= _SMALL:
                return None
            content = os.read(reader, status.st_size + 1)
        finally:
            os.close(reader)
    except OSError:
        return None
    return content if len(content) == status.st_size else None


def write_new(target: str, content: bytes, mode: int = 0o644) -> None:
    """Write a file that is not there yet, with exactly the permission bits `mode`, whatever the umask.

    Where content is at hand, as after it was digested, this costs less than sharing blocks does.

    Raises:
        OSError: Its folder is absent, it exists, or it cannot be written; nothing of it is left then.
    """
    writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        written = os.write(writer, content)
        while written < len(content):
            written += os.write(writer, memoryview(content)[written:])
        if stat.S_IMODE(os.fstat(writer).st_mode) != mode:
            os.fchmod(writer, mode)  # a write of its own
    except BaseException:
        os.unlink(target)  # noqa: PTH108  # paths are plain text here: folders hold many files
        raise
    finally:
        os.close(writer)


def remove_tree(path: Path) -> None:
    """Remove a folder and all below it, also what was made read-only; absent is fine."""

    def force(function: object, name: str, error: object) -> None:  # noqa: ARG001
        parent = Path(name).parent
        for place in (parent, Path(name)):
            if place.exists() and not place.is_symlink():
                place.chmod(0o700)
        if Path(name).is_dir() and not Path(name).is_symlink():
            shutil.rmtree(name, ignore_errors=True)
        else:
            Path(name).unlink(missing_ok=True)

    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path, onerror=force)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock between processes, by a lock file at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the exclusive lock of `folder` itself, for places in which no lock file should lie.

    As `locked`, the lock holds between processes and threads, and a kill lets go of it.

    Raises:
        OSError: `folder` is no folder, or may not be read.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
