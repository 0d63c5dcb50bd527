"""Which interpreter a script names in its head."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from reproof.base.files import read_plain

_HEAD = 1024
#: What pip and uv write where the path is too long for a first line, or has blanks: a script for sh and for Python.
_BOTH = re.compile(
    rb"#!\s*/bin/sh\n'''exec' (?P<quote>[\"']?)(?P<path>/[^\n\"']+?)(?P=quote) \"\$0\" \"\$@\"\n' '''\n"
)


class Head(NamedTuple):
    """The head of a script.

    Attributes:
        interpreter: Path or, after ``env``, name of the interpreter.
        size: Bytes of the lines that name it.
    """

    interpreter: str
    size: int


def script_head(path: Path) -> Head | None:
    """The head of the script at `path`, symlinks followed; None where it is none or cannot be read."""
    try:
        head = read_plain(Path(os.path.realpath(path)), _HEAD)
    except (OSError, ValueError):
        return None
    both = _BOTH.match(head)
    if both is not None:
        return Head(os.fsdecode(both["path"]), both.end())
    line, newline, _ = head.partition(b"\n")
    words = line[2:].split()
    if not head.startswith(b"#!") or not words:
        return None
    if words[0].endswith(b"/env"):
        words = [word for word in words[1:] if not word.startswith(b"-") and b"=" not in word]
    return Head(os.fsdecode(words[0]), len(line + newline)) if words else None
