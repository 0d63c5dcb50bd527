"""Source trees as a build shall see them: modes as Git knows them, times that are given."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_STEP = 61  # seconds between the times of two files, where they are to differ
_BEFORE = 50_000_000  # seconds: more than a year and a half
_EARLIEST = 315532800


def copy_tree(source: Path, target: Path) -> None:
    """Copy a clone, `.git` included, links as links; what it holds then belongs to the copy alone."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(source, target, symlinks=True)


def settle(top: Path, *, umask: int, epoch: int, touched: bool) -> None:
    """Give all files and folders below `top` modes and times that depend on nothing else.

    Modes are those that a checkout under `umask` has: executable or not is all that Git knows. Times
    are `epoch` (seconds since 1970), or, `touched`, each another one long before it. What is in
    `.git` stays as it is.
    """
    number = 0
    for root, folders, names in os.walk(top, topdown=False):
        if ".git" in Path(root).relative_to(top).parts:
            continue
        for name in sorted([*names, *folders]):
            place = os.path.join(root, name)  # noqa: PTH118 - a tree may be large
            if name == ".git" or (name in folders and Path(place).is_symlink()):
                continue
            number += 1
            _settle(place, umask, max(epoch - _BEFORE + number * _STEP, _EARLIEST) if touched else epoch)
    _settle(str(top), umask, epoch)


def _settle(place: str, umask: int, when: int) -> None:
    if not Path(place).is_symlink():
        folder = os.path.isdir(place)  # noqa: PTH112
        mode = 0o777 if folder or os.stat(place).st_mode & 0o100 else 0o666  # noqa: PTH116
        os.chmod(place, mode & ~umask)  # noqa: PTH101
    os.utime(place, (when, when), follow_symlinks=False)
