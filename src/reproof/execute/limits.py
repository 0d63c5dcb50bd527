"""How much a run may use, and by what the kernel is made to keep to it.

Control groups bound a run as a whole; they need a hierarchy that we may write, as root may. Without
one there are the limits of each process (setrlimit), which a normal user's processes keep too.
https://docs.kernel.org/admin-guide/cgroup-v2.html, https://docs.kernel.org/admin-guide/cgroup-v1/
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from reproof.execute.protocol import Confinement, Limits, Watch

_ROOT = Path("/sys/fs/cgroup")

#: Enters the control groups named before ``--`` and becomes the program named after it.
_ENTER = (
    "/bin/sh",
    "-c",
    'while [ "$1" != -- ]; do echo 0 > "$1" || exit 126; shift; done; shift; exec "$@"',
    "sh",
)


class Enforcement(msgspec.Struct, frozen=True, kw_only=True):
    """How limits are kept.

    Attributes:
        prefix: Words before the command that is limited.
        groups: Control groups that it is put into.
        notes: What is really bounded, in words for the verdict.
    """

    prefix: tuple[str, ...] = ()
    groups: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    def exceeded(self) -> str | None:
        """The limit that the run met, as the control groups tell, once it has ended; else None."""
        for group in self.groups:
            if _count(group / "memory.events", "oom_kill") or _count(
                group / "memory.oom_control", "oom_kill"
            ):
                return "more memory than allowed"
        return None


@contextmanager
def enforced(limits: Limits) -> Iterator[Enforcement]:
    """Make what keeps `limits` (disk apart), and remove it when the run is over."""
    groups, notes = _make_groups(limits)
    words: list[str] = []
    if limits.memory is not None and not any("memory" in note for note in notes):
        words.append(f"--data={limits.memory}")
        notes.append(f"{limits.memory:,} bytes of memory for each process")
    if limits.processes is not None and not any("processes" in note for note in notes):
        words.append(f"--nproc={limits.processes}")
        bound = "none for root without control groups" if os.geteuid() == 0 else f"{limits.processes:,}"
        notes.append(f"processes: {bound}")
    prefix: tuple[str, ...] = ()
    if groups:
        prefix = (*_ENTER, *(str(group / "cgroup.procs") for group in groups), "--")
    if limits != Limits():
        prefix = (*prefix, "prlimit", "--core=0", *words)
    try:
        yield Enforcement(prefix=prefix, groups=tuple(groups), notes=tuple(notes))
    finally:
        for group in groups:
            _remove(group)


def describe(limits: Limits) -> tuple[str, ...]:
    """What :func:`enforced` would bound here, in words."""
    with enforced(limits) as enforcement:
        return enforcement.notes


def with_quota(watch: Watch, confinement: Confinement) -> Watch:
    """The watch that also measures what a confined run writes, where that is limited."""
    if confinement.limits.disk is None:
        return watch
    return msgspec.structs.replace(watch, quota=confinement.limits.disk, measured=confinement.writable)


def occupied(folders: Iterable[Path]) -> int:
    """Bytes on disk below some folders; files with several names count once for each.

    What is removed while we look is left out.
    """
    total = 0
    pending = [str(folder) for folder in folders]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            continue
    return total


def _make_groups(limits: Limits) -> tuple[list[Path], list[str]]:
    """Control groups with the limits set, and what they bound; none where we may not make them."""
    wanted = []
    if limits.memory is not None:
        wanted.append(("memory", limits.memory, f"{limits.memory:,} bytes of memory in all"))
    if limits.processes is not None:
        wanted.append(("pids", limits.processes, f"{limits.processes:,} processes"))
    name = f"reproof-{secrets.token_hex(6)}"
    if (_ROOT / "cgroup.controllers").exists():
        return _make_unified(name, wanted)
    groups: list[Path] = []
    notes: list[str] = []
    for controller, value, note in wanted:
        group = _ROOT / controller / name
        files = {"memory": ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"), "pids": ("pids.max",)}
        if _make(group, dict.fromkeys(files[controller], value)):
            groups.append(group)
            notes.append(note)
    return groups, notes


def _make_unified(name: str, wanted: list[tuple[str, int, str]]) -> tuple[list[Path], list[str]]:
    group = _ROOT / name
    values = {f"{controller}.max": value for controller, value, _ in wanted}
    if "memory.max" in values:
        values["memory.swap.max"] = 0
    if not wanted or not _make(group, values):
        return [], []
    return [group], [note for _, _, note in wanted]


def _make(group: Path, values: dict[str, int]) -> bool:
    """A control group with these values; what concerns swap is left out where the kernel does not count it."""
    try:
        group.mkdir()
    except OSError:
        return False
    try:
        for file, value in values.items():
            place = group / file
            if place.exists() or "sw" not in file:
                place.write_text(str(value))
    except OSError:
        _remove(group)
        return False
    return True


def _remove(group: Path) -> None:
    try:
        group.rmdir()
    except OSError:
        pass  # a process is still on its way out: an empty group costs nothing


def _count(file: Path, key: str) -> int:
    try:
        lines = dict(line.split(maxsplit=1) for line in file.read_text().splitlines())
        return int(lines.get(key, 0))
    except (OSError, ValueError):
        return 0
