"""What comes out of a run besides its result: status, output, times, processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from reproof.base.naming import Naming
from reproof.capture import observations
from reproof.capture.observations import Observations
from reproof.errors import StoreError
from reproof.execute.protocol import Execution
from reproof.model.artifact import Artifact
from reproof.model.record import Byproducts, ChildProcess, Omission
from reproof.store.directory import DirectoryStore


def describe_byproducts(
    naming: Naming, scratch: Path, store: DirectoryStore, lines: Observations, execution: Execution
) -> Byproducts:
    """The byproducts of a command that has ended.

    Args:
        naming: Folders that are replaced in arguments of processes.
        scratch: Holds `logs`, what the command wrote to its outputs.
        store: Receives that.
        lines: What the processes told.
        execution: How it ended.
    """
    return Byproducts(
        exit_status=execution.status,
        stdout=_log(scratch, "stdout", store),
        stderr=_log(scratch, "stderr", store),
        started=execution.started,
        seconds=round(execution.seconds, 3),
        cpu_seconds=round(execution.cpu_seconds, 3),
        peak_memory=execution.peak_memory,
        processes=_processes(naming, lines),
        network=observations.network(lines),
        modules=observations.modules(lines),
    )


def left_in_home(home: Path | None) -> Iterator[Omission]:
    """What a run left in its private HOME, which goes with it: nobody compares that, and nobody has it."""
    if home is None:
        return
    try:
        names = sorted(entry.name for entry in os.scandir(home) if not entry.is_symlink())
    except OSError:
        return
    for name in names:
        if not name.startswith("."):
            reason = "written to the run's private HOME, which was removed after it"
            yield Omission(subject=f"${{HOME}}/{name}", reason=reason, hides_results=True)


def _processes(naming: Naming, lines: Observations) -> tuple[ChildProcess, ...]:
    """The processes, with this machine's folders replaced in their arguments."""
    return tuple(
        msgspec.structs.replace(each, argv=tuple(naming.replace_in(word) for word in each.argv))
        for each in observations.processes(lines)
    )


def _log(scratch: Path, name: str, store: DirectoryStore) -> Artifact | None:
    path = scratch / "logs" / name
    if not path.exists():
        return None
    try:
        digest = store.put(path)
    except StoreError:
        return None
    return Artifact(
        name=name, digests={"blake3": digest.value}, size=path.stat().st_size, origin="captured", kept=True
    )
