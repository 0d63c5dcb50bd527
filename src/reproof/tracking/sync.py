"""Keeps what could not be written to a store, until `reproof sync` can."""

from __future__ import annotations

from pathlib import Path

import msgspec

from reproof.base.files import write_atomic
from reproof.tracking.values import Finish, Finished

_ENDING = ".pending.json"


class Pending(msgspec.Struct, frozen=True):
    """Something that waits to be written.

    Attributes:
        path: The file that keeps it.
        finish: What is to be written; None when the file is damaged.
        problem: Why the file cannot be read.
    """

    path: Path
    finish: Finish | None
    problem: str | None = None


def write_pending(folder: Path, finish: Finish, outcome: Finished | None = None) -> Path:
    """Keep a finish for later, one for each record and store; an older one of the same is replaced.

    Args:
        folder: Where such files are kept; made when absent.
        finish: What is to be written.
        outcome: What came of trying; a run that was made on the way is the one to go on with.

    Returns:
        The file.

    Raises:
        OSError: As the file system does.
    """
    if outcome is not None and outcome.run_id and not finish.run_id:
        finish = msgspec.structs.replace(finish, run_id=outcome.run_id)
    earlier = _read(_place(folder, finish))
    if earlier.finish is not None:
        finish = _merged(earlier.finish, finish)
    path = _place(folder, finish)
    write_atomic(path, msgspec.json.encode(finish) + b"\n", mode=0o600)
    return path


def pending(folder: Path) -> tuple[Pending, ...]:
    """All that waits, by file name."""
    return tuple(_read(path) for path in sorted(folder.glob(f"*{_ENDING}")))


def done(path: Path) -> None:
    """What was kept in `path` has been written."""
    path.unlink(missing_ok=True)


def _place(folder: Path, finish: Finish) -> Path:
    return folder / f"{finish.record}{_ENDING}"


def _merged(earlier: Finish, later: Finish) -> Finish:
    """One finish that does the work of both: a verdict may come before its record was written."""
    return msgspec.structs.replace(
        earlier,
        run_id=later.run_id or earlier.run_id,
        status=earlier.status or later.status,
        parameters={**earlier.parameters, **later.parameters},
        tags={**earlier.tags, **later.tags},
        artifacts={**earlier.artifacts, **later.artifacts},
        metrics={**earlier.metrics, **later.metrics},
        nested=later.nested or earlier.nested,
    )


def _read(path: Path) -> Pending:
    try:
        return Pending(path, msgspec.json.decode(path.read_bytes(), type=Finish))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        return Pending(path, None, str(error))
