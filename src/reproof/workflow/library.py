"""The verbs as functions, for `import reproof`: keyword arguments instead of option structs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reproof.model.difference import Difference
from reproof.model.event import Emit, silent
from reproof.model.verdict import Verdict
from reproof.workflow import diff as diffing
from reproof.workflow import run as running
from reproof.workflow import verify as verifying
from reproof.workflow.run import RecordedRun


def run(uri: str | Path = ".", *, emit: Emit = silent, **options: Any) -> RecordedRun:
    """Run and record a project.

    Args:
        uri: Its folder or Git address.
        emit: Called with each event of the work.
        options: Fields of :class:`reproof.workflow.run.RunOptions`: `parameters`, `command`, `seed` ...

    Returns:
        The recorded run; `.record` is the record, `.exit_status` that of the command.

    Raises:
        ReproofError: What cannot be done, as on the command line.
    """
    return running.run(running.RunOptions(uri=str(uri), **options), emit)


def verify(recorded: RecordedRun | str | Path = "last", *, emit: Emit = silent, **options: Any) -> Verdict:
    """Re-create a recorded run and compare.

    Args:
        recorded: What :func:`run` returned, an id, ``last``, or a record file.
        emit: Called with each event of the work.
        options: Fields of :class:`reproof.workflow.verify.VerifyOptions`: `accept`, `rtol`, `isolation` ...

    Raises:
        ReproofError: No verdict can be given.
    """
    if isinstance(recorded, RecordedRun):
        recorded = recorded.folder / "records" / f"{recorded.id}.json"
    return verifying.verify(recorded, verifying.VerifyOptions(**options), emit)[0]


def diff(a: str | Path, b: str | Path, *, emit: Emit = silent, **options: Any) -> Difference:
    """How two files, folders or records differ; see :func:`reproof.workflow.diff.diff`."""
    return diffing.diff(str(a), str(b), diffing.DiffOptions(**options), emit)
