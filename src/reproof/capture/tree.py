"""The project's folder before and after a run: what was created, modified, deleted.

Only names and what `lstat` says are taken down, no content; ctime and inode see also what restores
size and modification time. Symlinks are described, never followed.
"""

from __future__ import annotations

import os
import stat
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import msgspec

from reproof.model.record import Omission

#: What is not looked at, and so is never a product: caches and other programs' own business.
#: ``NAME/`` is a folder of that name anywhere, ``A/B/`` one at such a place anywhere, ``*.EXT`` a
#: pattern on file names, and ``*/NAME`` every folder that holds NAME (so virtual environments).
EXCLUDED = (
    ".git/",
    ".reproof/",
    "__pycache__/",
    "*.pyc",
    ".dvc/tmp/",
    ".dvc/cache/",
    "*/pyvenv.cfg",
)

Kind = Literal["file", "directory", "symlink", "other"]

_FORMAT = 0o170000  # the bits of st_mode that say what it is, and those that say who may use it
_BITS = 0o7777
_KINDS: dict[int, Kind] = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink"}


class Entry(msgspec.Struct, frozen=True, gc=False):
    """What the file system says of one name; times in nanoseconds since the epoch, size in bytes."""

    kind: Kind
    mode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    target: str | None = None


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """A folder at one moment.

    Attributes:
        entries: Path below the folder (``/`` between parts) to entry; undecodable bytes of names
            are lone surrogates, as Python's file functions understand them.
        excluded: Patterns of what was left out.
        omissions: Folders that could not be read.
    """

    entries: dict[str, Entry]
    excluded: tuple[str, ...] = EXCLUDED
    omissions: tuple[Omission, ...] = ()

    @property
    def folders(self) -> list[str]:
        """All folders, parents before children; the top itself (empty name) first."""
        return ["", *(name for name, entry in self.entries.items() if entry.kind == "directory")]

    @property
    def symlinks(self) -> list[str]:
        """All symlinks."""
        return [name for name, entry in self.entries.items() if entry.kind == "symlink"]


class Exclusions:
    """Decides what is left out; see :data:`EXCLUDED` for the forms of patterns."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._names = {p[:-1] for p in patterns if p.endswith("/") and p.count("/") == 1}
        self._places = tuple("/" + p[:-1] for p in patterns if p.endswith("/") and p.count("/") > 1)
        self._last = {place.rpartition("/")[2] for place in self._places}
        self._markers = {p[2:] for p in patterns if p.startswith("*/") and not p.endswith("/")}
        others = [p for p in patterns if not p.endswith("/") and not p.startswith("*/")]
        self._endings = tuple(p[1:] for p in others if p.startswith("*") and not set(p[1:]) & set("*?["))
        self._patterns = [p for p in others if p[1:] not in self._endings]

    def leaves_out(self, name: str, path: str) -> bool:
        """Whether the entry `name`, at `path` below the top, is left out by its name or place."""
        if name in self._names or name.endswith(self._endings):
            return True
        if name in self._last and f"/{path}".endswith(self._places):
            return True
        return bool(self._patterns) and any(fnmatchcase(name, pattern) for pattern in self._patterns)

    def is_marked(self, listed: list[os.DirEntry[str]]) -> bool:
        """Whether a folder that holds `listed` is left out for one of them."""
        return bool(self._markers) and any(entry.name in self._markers for entry in listed)

    def covers(self, path: str) -> bool:
        """Whether `path` below the top lies at or within something left out by name or place."""
        parts = path.split("/")
        return any(self.leaves_out(part, "/".join(parts[: n + 1])) for n, part in enumerate(parts))


def scan(top: Path, excluded: tuple[str, ...] = EXCLUDED) -> Tree:
    """Take down everything below `top`, without reading any content.

    What vanishes meanwhile is left out. The top itself is always read, even where a pattern fits it.

    Raises:
        OSError: `top` itself cannot be read.
    """
    exclusions = Exclusions(excluded)
    entries: dict[str, Entry] = {}
    omissions: list[Omission] = []
    base = os.fspath(top)
    pending = [""]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(f"{base}/{folder}" if folder else base) as found:
                listed = list(found)
        except OSError as error:
            if not folder:
                raise
            if not isinstance(error, FileNotFoundError):  # else it is gone since it was listed
                omissions.append(Omission(subject=folder, reason=f"cannot be read: {error.strerror}"))
            continue
        if folder and exclusions.is_marked(listed):
            del entries[folder]
            continue
        _take_down(listed, f"{folder}/" if folder else "", exclusions, entries, pending)
    return Tree(entries=entries, excluded=excluded, omissions=tuple(omissions))


def changes(before: Tree, after: Tree) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """What happened between two scans of one folder.

    Returns:
        Names created, modified, deleted, each sorted. A file counts as modified when anything that
        `lstat` says of it differs, a folder only when its permission bits do, since its times
        change with its content.
    """
    created, modified = [], []
    old = before.entries
    for name, entry in after.entries.items():
        known = old.get(name)
        if known is None:
            created.append(name)
        elif known != entry and not (known.kind == "directory" == entry.kind and known.mode == entry.mode):
            modified.append(name)
    deleted = [name for name in old if name not in after.entries]
    return tuple(sorted(created)), tuple(sorted(modified)), tuple(sorted(deleted))


def _take_down(
    listed: list[os.DirEntry[str]],
    prefix: str,
    exclusions: Exclusions,
    entries: dict[str, Entry],
    pending: list[str],
) -> None:
    """Note what one listed folder holds, without reading it; folders in it go to `pending`."""
    leaves_out = exclusions.leaves_out
    for item in listed:
        name = item.name
        path = prefix + name
        if leaves_out(name, path):
            continue
        try:
            status = item.stat(follow_symlinks=False)
            mode = status.st_mode
            kind = _KINDS.get(mode & _FORMAT, "other")
            target = os.readlink(item.path) if kind == "symlink" else None  # noqa: PTH115  # exact text
        except OSError:  # gone since it was listed
            continue
        entries[path] = Entry(
            kind,
            mode & _BITS,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
            status.st_ino,
            target,
        )
        if kind == "directory":
            pending.append(path)
