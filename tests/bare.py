"""A view of this machine without what only Linux has: no /proc, no inotify, no reflinks, no bubblewrap.

What is left is what macOS and a bare container have. The system calls are refused by a filter
(https://docs.kernel.org/userspace-api/seccomp_filter.html), /proc is not there, and `bwrap` is an empty file.
"""

from __future__ import annotations

import os
import platform
import shutil
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

#: By machine: the audit number of its kind; numbers of inotify_init, inotify_init1, fanotify_init, ioctl.
_NUMBERS = {"x86_64": (0xC000003E, (253, 294, 300), 16), "aarch64": (0xC00000B7, (26, 26, 262), 29)}
_FICLONE = 0x40049409
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
_ENOSYS, _EOPNOTSUPP = 38, 95
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # of classic BPF: load a word, jump if equal, return


def is_known() -> bool:
    """Whether the numbers of this machine's system calls are known here."""
    return platform.machine() in _NUMBERS


def _filter() -> bytes:
    """A program that refuses to watch files and to share blocks, and lets all else through."""
    kind, watching, ioctl = _NUMBERS[platform.machine()]
    steps: list[tuple[int, int, int, int]] = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, kind), (_RETURN, 0, 0, _ALLOW)]
    steps.append((_LOAD, 0, 0, 0))
    for number in watching:
        steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE | _ENOSYS)]
    steps += [(_EQUAL, 0, 3, ioctl), (_LOAD, 0, 0, 24), (_EQUAL, 0, 1, _FICLONE)]
    steps += [(_RETURN, 0, 0, _REFUSE | _EOPNOTSUPP), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def run(argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program in the view."""
    bwrap = shutil.which("bwrap")
    assert bwrap is not None
    reading, writing = os.pipe()
    os.write(writing, _filter())
    os.close(writing)
    words = [bwrap, "--dev-bind", "/", "/", "--tmpfs", "/proc", "--ro-bind", "/dev/null", bwrap]
    try:
        return subprocess.run(
            [*words, "--seccomp", str(reading), "--die-with-parent", "--", *argv],
            cwd=cwd,
            env=dict(env),
            pass_fds=(reading,),
            capture_output=True,
            text=True,
            timeout=300,
        )
    finally:
        os.close(reading)
