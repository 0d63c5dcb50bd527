"""The processes of a child's session: finding them, and sending them signals."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def members(session: int) -> list[int]:
    """Living processes of a session; processes that made a session of their own are not among them.

    Read from /proc; without it (macOS) the session's first process group stands for it.
    """
    try:
        names = [name for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - names are all we need
    except OSError:
        return []
    return [int(name) for name in names if _session_of(name) == session]


def send(session: int, number: int, *, spare_leader: bool = False) -> int:
    """Send a signal to every process of a session; returns how many got it.

    Args:
        session: Process id of the session's leader.
        number: The signal.
        spare_leader: Leave the leader out (a sandbox that would take the rest down unasked).
    """
    if not Path("/proc/self/stat").exists():
        return _send_to_group(session, number)
    reached = 0
    for process in members(session):
        if spare_leader and process == session:
            continue
        try:
            os.kill(process, number)
            reached += 1
        except (ProcessLookupError, PermissionError):
            continue
    return reached


def kill_rest(session: int) -> int:
    """Kill what is left of a session whose leader has ended but has not been waited for yet.

    Returns:
        Number of processes killed. Repeats until none is left, since they may be forking.
    """
    killed: set[int] = set()
    for _ in range(100):
        rest = [process for process in members(session) if process != session]
        if not rest:
            break
        send(session, signal.SIGKILL, spare_leader=True)
        killed.update(rest)
    if not Path("/proc/self/stat").exists():
        _send_to_group(session, signal.SIGKILL)
    return len(killed)


def _send_to_group(group: int, number: int) -> int:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return 0
    return 1


def _session_of(process: str) -> int | None:
    """Session of a living process: the fourth field after the name, which is in brackets and may hold anything."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:  # noqa: PTH123 - many small files
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(fields[3]) if fields[0] not in (b"Z", b"X") else None
