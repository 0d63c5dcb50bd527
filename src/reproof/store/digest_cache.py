"""Digests that need not be computed again, because the file system says that nothing changed.

A digest is kept by what `fstat` said before and after hashing: device, inode, size, mtime, ctime. Three
things can make that lie, and are excluded: a change within one tick of the clock (both times must be
older than the hashing by a margin), a change through a memory map to a page that was dirty already,
which moves no time (young files are forced to the disk first, so that the next write moves it), and
file systems whose times are another machine's or nobody's (only known local ones are believed).

That is good enough to say quickly that data is as it was; it is no evidence, and `verify` reads all.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import msgspec

from reproof.base.digesting import digest_files, digest_open_file, in_pool
from reproof.base.mounts import Mounts
from reproof.store.file_state import state_of_folder
from reproof.store.manifest import Digesting, describe_folder, dvc_id, identity

if TYPE_CHECKING:
    import sqlite3

#: File systems on which every change moves ctime, and forcing a file makes later writes do so.
TRUSTED = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs"})
_NAME = "digests.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    device INTEGER, inode INTEGER, algorithm TEXT, size INTEGER, mtime INTEGER, ctime INTEGER,
    digest BLOB, PRIMARY KEY (device, inode, algorithm)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sets (subject TEXT PRIMARY KEY, state BLOB, facts BLOB) WITHOUT ROWID;
"""
_VERSION = 1
_LOOK_UP = "SELECT algorithm, digest FROM files WHERE device=? AND inode=? AND size=? AND mtime=? AND ctime=?"
_BATCH = 1024
_YOUNG = 60.0  # seconds: twice the age at which Linux writes dirty pages out
_LARGE = 1 << 20  # bytes from which forcing a file costs less than reading it again
_MANY = 256  # files, or bytes, from which looking up costs less than reading
_MUCH = 64 << 20
_FORCED = 256  # small files that are forced at most: each costs a write to the disk

_State = tuple[int, int, int, int, int]


class FolderFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a folder's whole content.

    Attributes:
        blake3: BLAKE3 of its manifest.
        dvc_id: The id that DVC gives it.
        size: Bytes of its files.
        files: Number of its files.
    """

    blake3: str
    dvc_id: str
    size: int
    files: int


class _Read(NamedTuple):
    """A file that was read: its digests, and its state if that can be believed later."""

    digests: dict[str, str] | OSError
    state: _State | None


class DigestCache:
    """Digests of files and folders, kept in a database in `folder` (``.reproof``).

    Several processes may use one at once. A cache that cannot be used, for whatever reason, is none:
    everything is read then, and nothing is raised.

    Args:
        folder: Where the database lies; it is made when something is kept.
        margin: Seconds by which a file's times must be older than its hashing.
    """

    def __init__(self, folder: Path, *, margin: float = 2.0) -> None:
        self._margin = int(margin * 1e9)
        self._place = folder / _NAME
        self._mounts = Mounts()
        self._believed: dict[int, bool] = {}
        self._forced = 0
        self._unsettled = 0
        self._new: list[tuple[int | str | bytes, ...]] = []
        self._database = self._open(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Keep what is new and let go of the database."""
        self._flush()
        if self._database is not None:
            self._database.close()
            self._database = None

    def digest_files(
        self, paths: Iterable[str], algorithms: Iterable[str] = ("blake3",)
    ) -> Iterator[dict[str, str] | OSError]:
        """As :func:`reproof.base.digesting.digest_files`, without reading what is known.

        Yields:
            For each path, in order: algorithm to hexadecimal digest, or why it cannot be read.
        """
        wanted = tuple(algorithms)
        source = iter(paths)
        while batch := list(islice(source, _BATCH)):
            known = [self._known(path, wanted) for path in batch]
            missing = [path for path, digests in zip(batch, known, strict=True) if digests is None]
            reads = iter(in_pool(lambda path: self._read(path, wanted), missing))
            for digests in known:
                yield digests if digests is not None else self._keep(next(reads))

    def describe(self, folder: Path) -> FolderFacts:
        """What is in a folder, without reading or even looking up each file when nothing changed.

        Raises:
            MaterialError: See :func:`reproof.store.manifest.describe_folder`.
        """

        def compute() -> bytes:
            manifest = describe_folder(folder, md5=True, digesting=self.digest_files)
            facts = FolderFacts(
                blake3=identity(manifest).value,
                dvc_id=dvc_id(manifest) or "",
                size=manifest.size,
                files=manifest.files,
            )
            return msgspec.msgpack.encode(facts)

        found = self.recall(f"folder {folder}", lambda: state_of_folder(folder), compute)
        return msgspec.msgpack.decode(found, type=FolderFacts)

    def recall(self, subject: str, state: Callable[[], bytes | None], compute: Callable[[], bytes]) -> bytes:
        """What `compute` said of many files at once, as long as their state is the same.

        Args:
            subject: What it is said of.
            state: Everything that tells whether a file changed, such as :func:`state_of_files`; None
                where that cannot be had.
            compute: Reads the files, through :meth:`digest_files` of this cache alone.
        """
        before = state()
        if before is not None:
            rows = self._run("SELECT facts FROM sets WHERE subject=? AND state=?", (subject, before))
            if rows:
                return bytes(rows[0][0])
        unsettled = self._unsettled
        found = compute()
        # Each file's state can be believed, and none of it moved since before the first was read.
        if before is not None and self._unsettled == unsettled and state() == before:
            self._run("INSERT OR REPLACE INTO sets VALUES (?,?,?)", (subject, before, found))
        return found

    def _known(self, path: str, algorithms: tuple[str, ...]) -> dict[str, str] | None:
        if self._database is None:
            return None
        try:
            status = os.stat(path)  # noqa: PTH116  # a str may hold bytes that are no UTF-8
        except OSError:
            return None  # reading it tells why
        digests = {name: value.hex() for name, value in self._run(_LOOK_UP, _state(status))}
        return {name: digests[name] for name in algorithms} if digests.keys() >= set(algorithms) else None

    def _read(self, path: str, algorithms: tuple[str, ...]) -> _Read:
        """Digest a file; its state counts only when it stayed the same and is old enough."""
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            return _Read(error, None)
        try:
            started = time.time_ns()
            settled = self._settle(handle, path, started)
            before = os.fstat(handle)
            digests = digest_open_file(handle, algorithms)
            same = _state(before) == _state(os.fstat(handle))
            newest = max(before.st_mtime_ns, before.st_ctime_ns)
            good = settled and same and stat.S_ISREG(before.st_mode) and newest < started - self._margin
            return _Read(digests, _state(before) if good else None)
        except OSError as error:
            return _Read(error, None)
        finally:
            os.close(handle)

    def _settle(self, handle: int, path: str, now: int) -> bool:
        """Make sure that a later write moves the times; false where that is not to be had."""
        status = os.fstat(handle)
        if self._database is None or not self._believes(status.st_dev, path):
            return False
        newest = max(status.st_mtime_ns, status.st_ctime_ns)
        if newest < now - int(_YOUNG * 1e9):
            return True
        if newest >= now - self._margin or (status.st_size < _LARGE and self._forced >= _FORCED):
            return False
        self._forced += 1
        os.fsync(handle)
        return True

    def _believes(self, device: int, path: str) -> bool:
        if device not in self._believed:
            self._believed[device] = self._mounts.kind(path) in TRUSTED
        return self._believed[device]

    def _keep(self, read: _Read) -> dict[str, str] | OSError:
        if read.state is None:
            self._unsettled += 1
        elif not isinstance(read.digests, OSError):
            device, inode, size, mtime, ctime = read.state
            self._new += [
                (device, inode, name, size, mtime, ctime, bytes.fromhex(value))
                for name, value in read.digests.items()
            ]
            if len(self._new) >= 4 * _BATCH:
                self._flush()
        return read.digests

    def _open(self, folder: Path) -> sqlite3.Connection | None:
        import sqlite3

        if self._mounts.kind(str(folder)) not in TRUSTED:
            return None
        for _ in range(2):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                database = sqlite3.connect(self._place, timeout=5.0, isolation_level=None)
                self._prepare(database)
            except sqlite3.OperationalError:
                return None
            except sqlite3.DatabaseError:
                self._discard()  # not a database any more: made again, once
            except OSError:
                return None
            else:
                return database
        return None

    @staticmethod
    def _prepare(database: sqlite3.Connection) -> None:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version not in (0, _VERSION):
            database.executescript("DROP TABLE IF EXISTS files; DROP TABLE IF EXISTS sets;")
        if version != _VERSION:
            database.execute("PRAGMA journal_mode=WAL")
            database.executescript(_SCHEMA)
            database.execute(f"PRAGMA user_version={_VERSION}")
        database.execute("PRAGMA synchronous=OFF")  # it can be made again, and is seen to be damaged

    def _discard(self) -> None:
        for ending in ("", "-wal", "-shm"):
            Path(f"{self._place}{ending}").unlink(missing_ok=True)

    def _run(self, statement: str, values: tuple[int | str | bytes, ...]) -> list[tuple[Any, ...]]:
        """Rows of a statement; none, and no further use of the database, when it fails."""
        import sqlite3

        if self._database is None:
            return []
        try:
            return list(self._database.execute(statement, values))
        except sqlite3.OperationalError:
            return []  # another process holds it too long, or the disk is full
        except sqlite3.DatabaseError:
            self._abandon()
            return []

    def _flush(self) -> None:
        import sqlite3

        if self._database is None or not self._new:
            return
        try:
            with contextlib.closing(self._database.cursor()) as cursor:
                cursor.execute("BEGIN IMMEDIATE")
                cursor.executemany("INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?,?)", self._new)
                cursor.execute("COMMIT")
        except sqlite3.OperationalError:
            if self._database.in_transaction:
                self._database.rollback()
        except sqlite3.DatabaseError:
            self._abandon()
        self._new.clear()

    def _abandon(self) -> None:
        """The database is damaged: it is removed, and this process reads everything."""
        if self._database is not None:
            self._database.close()
        self._database = None
        with contextlib.suppress(OSError):
            self._discard()


def _state(status: os.stat_result) -> _State:
    return (
        _signed(status.st_dev),
        _signed(status.st_ino),
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _signed(number: int) -> int:
    """The same 64 bits as sqlite can hold them."""
    return number - (1 << 64) if number >= 1 << 63 else number


@contextlib.contextmanager
def cached_where_it_pays(folder: Path) -> Iterator[Digesting]:
    """Digests from a cache in `folder` for much data; for little, opening one costs more than reading.

    Yields:
        As :func:`reproof.base.digesting.digest_files`.
    """
    opened: list[DigestCache] = []

    def digest(paths: Iterable[str], algorithms: Iterable[str]) -> Iterator[dict[str, str] | OSError]:
        listed = list(paths)
        if not opened and _is_much(listed):
            opened.append(DigestCache(folder))
        return (opened[0].digest_files if opened else digest_files)(listed, algorithms)

    try:
        yield digest
    finally:
        for cache in opened:
            cache.close()


def _is_much(paths: list[str]) -> bool:
    if len(paths) >= _MANY:
        return True
    size = 0
    for path in paths:
        with contextlib.suppress(OSError):
            size += os.stat(path).st_size  # noqa: PTH116  # a str may hold bytes that are no UTF-8
    return size >= _MUCH
