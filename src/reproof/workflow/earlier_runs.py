"""What a run read of earlier MLflow runs: models and artifacts that a clean room does not have yet."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from reproof.base.digesting import digest_file
from reproof.base.naming import Naming
from reproof.errors import MaterialError
from reproof.model.artifact import Artifact
from reproof.model.record import Record


def artifacts_read(
    paths: Iterable[str], stores: Iterable[str], naming: Naming, started: float
) -> list[Artifact]:
    """The files among `paths` that lay in a local tracking store before the run began.

    Args:
        paths: Absolute paths that the run opened for reading.
        stores: Absolute paths of tracking stores and artifact folders.
        naming: Names of files.
        started: When the run began, in seconds since the epoch.
    """
    folders = tuple(f"{store}/" for store in stores)
    found = []
    for path in sorted(set(paths)):
        if not path.startswith(folders) or "/artifacts/" not in path:
            continue
        try:
            status = os.stat(path)  # noqa: PTH116  # a str may hold bytes that are no UTF-8
            if not stat.S_ISREG(status.st_mode) or status.st_mtime >= started:
                continue
            digests = digest_file(Path(path))
        except OSError:
            continue
        found.append(
            Artifact(name=naming.name_file(path), digests=digests, size=status.st_size, origin="mlflow")
        )
    return found


def require_none(record: Record) -> None:
    """Refuse to re-create a run that read artifacts of earlier runs.

    Raises:
        MaterialError: It did; a re-run would fail for our want of them, not for a change of its own.
    """
    read = [artifact for artifact in record.materials if artifact.origin == "mlflow"]
    if not read:
        return
    raise MaterialError(
        "cannot re-create the run: it read artifacts of earlier MLflow runs, which a clean room does not have yet",
        details=[
            (artifact.digest.short if artifact.digest else "no digest", f"`{artifact.name}`")
            for artifact in read[:5]
        ],
    )
