"""What re-runs that were killed have left behind: their rooms, and what had travelled to a worker of a cluster for them.

A room has an owner as long as a lock on a file in it is held; the system lets go of the lock however the owner ends, and
no process id is guessed from. A room that is to be kept has no such file, and is never taken for a leftover.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from reproof.base.files import read_plain, remove_tree
from reproof.base.locations import cache_directory
from reproof.errors import StoreError
from reproof.store.directory import DirectoryStore

#: Seconds for which nothing is removed after its last use, whoever it belonged to.
GRACE = 86400.0

_OWNER = "owner"
_ROOM = re.compile(r"[0-9a-f]{12}")  # the name of a room
_PLACES = ("*", "*/*", "*/another/folder/*")  # where rooms are: alone, or several of one command
_AROUND = ("*", "*/another", "*/another/folder")  # folders with rooms
_TEMPORARY = "reproof-"  # what names of TMPDIRs begin with
_LONGEST = 4096  # bytes of a path


@contextmanager
def occupied(folder: Path, *, keep: bool) -> Iterator[Path]:
    """Own a new room while it is used, and remove it afterwards unless it is to be kept.

    Args:
        folder: The room; it is made.
        keep: Leave it in its place.

    Yields:
        Its TMPDIR, in the system's own, which goes with it.
    """
    folder.mkdir(parents=True, mode=0o700)
    temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY))
    if keep:
        yield temporary
        return
    with (folder / _OWNER).open("xb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(os.fsencode(temporary))
        file.flush()
        try:
            yield temporary
        finally:
            remove_tree(folder)
            remove_tree(temporary)


def luggage_store() -> DirectoryStore:
    """Where a worker keeps the content that tasks refer to."""
    return DirectoryStore(cache_directory() / "luggage")


def parcels() -> Path:
    """Where a worker keeps the repositories that it has made for plans which travelled."""
    return cache_directory() / "parcels"


@contextmanager
def at_work() -> Iterator[None]:
    """In a worker: while this lasts, nobody removes content that a task refers to.

    First what belongs to nobody any more is removed: rooms whose owners died, and, where no other task uses this
    cache at the moment, content that has not been used for a day.
    """
    cache_directory().mkdir(parents=True, exist_ok=True)
    with (cache_directory() / "workers.lock").open("a+b") as file:
        before = time.time() - GRACE
        with suppress(OSError, StoreError):  # what cannot be removed keeps no task from being done
            if _is_free(file):
                _remove_content(before)
            remove_rooms(before)
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def remove_rooms(before: float) -> None:
    """Remove rooms whose owner is dead, and that nobody used since `before` (seconds since the epoch).

    A room in whose folder a process still works is left alone.
    """
    top = cache_directory() / "rooms"
    for place in _PLACES:
        for folder in sorted(top.glob(place)):
            if _ROOM.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
                with suppress(OSError):
                    _remove_room(folder, before)
    for place in reversed(_AROUND):
        for folder in top.glob(place):
            with suppress(OSError):
                if folder.lstat().st_mtime < before:
                    folder.rmdir()  # which removes nothing but empty ones


def _remove_room(folder: Path, before: float) -> None:
    try:
        owner = os.open(folder / _OWNER, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return  # kept, or made by nobody who says so
    with os.fdopen(owner, "r+b") as file:
        if not _is_free(file) or _latest(folder) >= before:
            return
        temporary = _temporary(folder)
        places = [folder] if temporary is None else [folder, temporary]
        if _are_inhabited(places):
            return
        if temporary is not None:
            remove_tree(temporary)
        for path in folder.iterdir():
            if path.name != _OWNER:  # which goes last: a removal that is killed is done again
                remove_tree(path)
        remove_tree(folder)


def _is_free(file: IO[bytes]) -> bool:
    """Whether nobody holds the lock of a file; it is held by us then, until the file is closed."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _latest(folder: Path) -> float:
    """When something was last put into a room: each re-run has a folder in it."""
    return max(path.lstat().st_mtime for path in (folder, *folder.iterdir()))


def _temporary(folder: Path) -> Path | None:
    """The TMPDIR of a room, as its owner wrote it down; None unless it is one of ours."""
    path = Path(os.fsdecode(read_plain(folder / _OWNER, _LONGEST)))
    try:
        status = path.lstat()
    except (OSError, ValueError):
        return None
    ours = path.name.startswith(_TEMPORARY) and path.parent == Path(tempfile.gettempdir())
    return (
        path if ours and path.is_dir() and not path.is_symlink() and status.st_uid == os.geteuid() else None
    )


def _are_inhabited(folders: list[Path]) -> bool:
    """Whether a process works in one of them: a command may outlive whoever started it."""
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            place = entry.readlink()
            if any(place.is_relative_to(folder) for folder in folders):
                return True
    return False


def _remove_content(before: float) -> None:
    """Remove luggage and parcels that nobody used since `before`; the caller knows that nobody does now."""
    store = luggage_store()
    for digest in store:
        if store.path(digest).stat().st_mtime < before:
            store.remove_unused(digest, before)
    for folder in (store.root / "incoming", parcels()):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.lstat().st_mtime < before:
                aside = path.with_name(f"{path.name}-{secrets.token_hex(6)}")
                path.rename(aside)  # half of one must not be taken for a whole one
                remove_tree(aside)
