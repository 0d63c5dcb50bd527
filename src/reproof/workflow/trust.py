"""Which records this user's own runs made on this host; every other one is somebody's code.

Whoever can write into the user's data folder can run programs as that user anyway, so that a list
kept there proves what it has to. It names the host too: a HOME may be shared by many.
"""

from __future__ import annotations

from pathlib import Path

from reproof.base.files import write_atomic
from reproof.base.locations import data_directory
from reproof.capture import hardware


def note_own(identity: str) -> None:
    """Remember that a run of this user on this host made the record with this full id.

    A list that cannot be written costs the user a `--trust` later, not a run now.
    """
    try:
        write_atomic(_place(identity), hardware.capture()[0].host.encode(), durable=False)
    except OSError:
        pass


def is_own(identity: str) -> bool:
    """Whether a run of this user on this host made the record with this full id."""
    host = hardware.capture()[0].host
    try:
        return bool(host) and _place(identity).read_bytes() == host.encode()
    except OSError:
        return False


def _place(identity: str) -> Path:
    return data_directory() / "made-here" / identity[:2] / identity
