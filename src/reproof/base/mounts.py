"""Which kind of file system a path lies on, as Linux tells it; elsewhere nothing is known."""

from __future__ import annotations

import os
import re
from pathlib import Path

_TABLE = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")


class Mounts:
    """The mounted file systems at the moment of construction (proc_pid_mountinfo(5))."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}
        try:
            lines = os.fsdecode(_TABLE.read_bytes()).splitlines()
        except OSError:
            lines = []
        for line in lines:
            place, _, rest = line.partition(" - ")
            fields, kind = place.split(" "), rest.split(" ")[0]
            if len(fields) > 4 and kind:  # a later mount at the same place covers the earlier one
                self._kinds[_ESCAPED.sub(lambda found: chr(int(found[1], 8)), fields[4])] = kind

    def kind(self, path: str) -> str | None:
        """The type (``ext4``, ``tmpfs``, ``nfs4``, ``fuse.sshfs``) that holds `path`; None if unknown."""
        place = os.path.realpath(path)
        while True:
            if place in self._kinds:
                return self._kinds[place]
            parent = os.path.dirname(place)  # noqa: PTH120  # a str may hold bytes that are no UTF-8
            if parent == place:
                return None
            place = parent
