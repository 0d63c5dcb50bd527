"""What the file system says of files, as one digest: the same as long as nothing about them changed."""

from __future__ import annotations

import marshal
import os
import stat
from collections.abc import Iterable
from itertools import islice
from operator import attrgetter
from pathlib import Path

from reproof.base.digesting import new_digester

_BATCH = 1024  # files at a time: what is said of all of them at once would keep the garbage collector busy
_FACTS = attrgetter("st_mode", "st_dev", "st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")


def state_of_files(paths: Iterable[str]) -> bytes | None:
    """A digest of all that `stat` says of files; None where one of them is not there."""
    source = iter(paths)
    digester = new_digester("blake3")
    try:
        while batch := list(islice(source, _BATCH)):
            facts = list(map(_FACTS, map(os.stat, batch)))
            digester.update(marshal.dumps((batch, facts), 2))  # version 2: equal bytes for equal values
    except OSError:
        return None
    return bytes(digester.digest())


def state_of_folder(folder: Path) -> bytes | None:
    """A digest of all that `lstat` says of everything below a folder.

    Of what is behind a symlink too, because DVC's id counts it; None where that cannot be read.
    """
    parts: list[bytes] = []
    try:
        pending = [os.fspath(folder)]
        while pending:
            place = pending.pop()
            # Opened, so that the kernel looks up names and not paths: there may be a hundred thousand.
            handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                with os.scandir(handle) as found:
                    listed = sorted(found, key=os.DirEntry.inode)
                    facts = [_FACTS(entry.stat(follow_symlinks=False)) for entry in listed]
            finally:
                os.close(handle)
            parts.append(_digest_of([place, *(entry.name for entry in listed)], facts))
            if {mode >> 12 for mode, *_ in facts} == {stat.S_IFREG >> 12}:
                continue
            for entry, (mode, *_) in zip(listed, facts, strict=True):
                if stat.S_ISDIR(mode):
                    pending.append(f"{place}/{entry.name}")
                elif stat.S_ISLNK(mode):
                    parts.append(_digest_of([_behind(f"{place}/{entry.name}")], []))
    except OSError:
        return None
    return _digest_of([part.hex() for part in parts], [])


def _digest_of(names: list[str], facts: list[tuple[int, ...]]) -> bytes:
    digester = new_digester("blake3")
    digester.update(marshal.dumps((names, facts), 2))
    return bytes(digester.digest())


def _behind(path: str) -> str:
    try:
        target = os.readlink(path)  # noqa: PTH115  # exact text
        return f"{target}\0{_FACTS(os.stat(path))}\n"  # noqa: PTH116
    except OSError:
        return "nothing\n"
