"""Paths that are not files or folders to be read: named, never opened."""

from __future__ import annotations

import os
import stat
from pathlib import Path

#: What :func:`trouble_of` says of a path where there is nothing.
MISSING = "is missing"

_KINDS = {
    stat.S_IFIFO: "a fifo",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}


def kind_of_mode(mode: int) -> str:
    """``a file``, ``a folder``, ``a symlink`` or the kind of special file, of a `stat` mode."""
    if stat.S_ISREG(mode):
        return "a file"
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISLNK(mode):
        return "a symlink"
    return _KINDS.get(stat.S_IFMT(mode), "a special file")


def trouble_of(path: Path) -> str | None:
    """Why `path` (symlinks followed) cannot be compared, as ``is missing``; None when it can.

    Nothing is opened, so that no fifo or device can stop us.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return f"is a broken symlink to `{shown(path.readlink())}`" if path.is_symlink() else MISSING
    except OSError as error:
        if path.is_symlink():
            return f"is a symlink that cannot be followed: {(error.strerror or str(error)).lower()}"
        return f"cannot be read: {(error.strerror or str(error)).lower()}"
    kind = kind_of_mode(mode)
    if kind not in {"a file", "a folder"}:
        return f"is {kind}, which is not read"
    if not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
        return "cannot be read: permission denied"
    return None


def shown(name: str | Path) -> str:
    """A file name for people and JSON: bytes that are not UTF-8, and control characters, escaped."""
    text = str(name)
    if text.isprintable():
        return text
    return "".join(_escaped(char) for char in text)


def _escaped(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    # a byte that is not UTF-8, as the file system functions of Python hand it over (PEP 383)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else char.encode("unicode_escape").decode()
