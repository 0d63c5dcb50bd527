"""Why a program cannot be reached: the folders on the way to it that its user may not go through."""

from __future__ import annotations

import errno
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

_MOST_LINKS = 40  # as many as the kernel follows


def way_to(path: Path) -> Iterator[Path]:
    """Each folder that the kernel goes through from the root to what `path` leads to, and that at last.

    Links are followed and not among them. It ends early at what is missing or cannot be looked into.
    """
    here, links = Path("/"), 0
    pending = [*reversed(path.absolute().parts[1:])]
    yield here
    while pending:
        part = pending.pop()
        if part == "..":
            here = here.parent
            continue
        try:
            target = (here / part).readlink()
        except OSError as error:
            if error.errno != errno.EINVAL:  # anything but "not a link"
                return
            here /= part
            yield here
            continue
        links += 1
        if links > _MOST_LINKS:
            return
        if target.is_absolute():
            here = Path("/")
        pending += reversed([name for name in target.parts if name != "/"])


def obstacles(path: Path, *, unprivileged: bool = False) -> tuple[Path, ...]:
    """Folders on the way to `path`, or the file itself, that this user may not go through or execute.

    Args:
        path: A program or a folder.
        unprivileged: Judge by permission bits alone, as the kernel does for root without capabilities.
    """
    return tuple(
        step
        for step in dict.fromkeys(way_to(path))
        if not (_open_by_mode(step) if unprivileged else os.access(step, os.X_OK, effective_ids=True))
    )


def describe(path: Path) -> str:
    """A path with its owner and mode, for people."""
    state = path.stat()
    try:
        owner = pwd.getpwuid(state.st_uid).pw_name
    except KeyError:
        owner = str(state.st_uid)
    return f"`{path}` (of user {owner}, mode {stat.S_IMODE(state.st_mode):04o})"


def this_user() -> str:
    """Name or number of the user that we run as."""
    number = os.geteuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _open_by_mode(path: Path) -> bool:
    state = path.stat()
    if state.st_uid == os.geteuid():
        return bool(state.st_mode & stat.S_IXUSR)
    if state.st_gid in (os.getegid(), *os.getgroups()):
        return bool(state.st_mode & stat.S_IXGRP)
    return bool(state.st_mode & stat.S_IXOTH)
