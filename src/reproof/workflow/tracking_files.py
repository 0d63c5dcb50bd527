"""Names of what belongs to MLflow itself: stores, artifacts of runs, models. None of it is input or product."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from reproof.base.naming import Naming
from reproof.capture.observations import Observations
from reproof.model.observation import (
    ArtifactRead,
    ModelCreated,
    ModelRead,
    RunOpened,
    RunRead,
    VersionRead,
)
from reproof.tracking.address import parse

#: What MLflow writes beside a registered model when it is fetched.
_META = "registered_model_meta"


def find_tracking_files(lines: Observations, naming: Naming, folder: Path) -> tuple[str, ...]:
    """Names of what the child's MLflow kept of its runs, and of the stores that it read.

    Args:
        lines: What the processes told.
        naming: Names of files.
        folder: Where relative addresses start.
    """
    names: set[str] = set()
    models = [line.model for line in lines.of(ModelCreated)]
    for line in lines.of(RunOpened):
        names.update(tracking_names(line.uri, naming, folder))
        for name in tracking_names(line.artifact_uri, naming, folder):
            names.update(_own_part(PurePosixPath(name), line.run, models))
    asked: list[VersionRead | RunRead | ModelRead] = [*lines.of(VersionRead), *lines.of(RunRead)]
    for read in (*asked, *lines.of(ModelRead)):
        names.update(tracking_names(read.uri, naming, folder))
    for file in lines.of(ArtifactRead):
        if file.place.endswith(f"/{file.path}"):
            names.add(naming.name_file(f"{file.place.removesuffix(file.path)}{_META}"))
    return tuple(sorted(names))


def _own_part(artifacts: PurePosixPath, run: str, models: list[str]) -> set[str]:
    """What belongs to a run whose artifacts lie there: ``EXPERIMENT/RUN/artifacts`` and ``EXPERIMENT/models``.

    Within the project that is the whole folder of the experiment. Outside, the runs of others may be
    there too, and their models may be inputs.
    """
    if artifacts.parent.name != run:
        return {str(artifacts)}
    experiment = artifacts.parents[1]
    if str(experiment) != "." and not str(experiment).startswith(("/", "${")):
        return {str(experiment)}
    return {str(artifacts.parent), *(str(experiment / "models" / model) for model in models)}


def tracking_names(address: str, naming: Naming, folder: Path | None = None) -> tuple[str, ...]:
    """Names of the files and folders that a local tracking address stands for; none for a server.

    A sqlite database comes with its journals. A relative address starts in `folder`, by default the top.
    A folder that holds the whole project stands for nothing: it is not MLflow's alone.
    """
    found = parse(address, folder or Path(naming.top)) if address else None
    if found is None or found.path is None:
        return ()
    forms = dict.fromkeys((os.path.normpath(found.path), os.path.realpath(found.path)))
    names = [naming.name_file(form) for form in forms if not Path(naming.top).is_relative_to(form)]
    ends = ("", "-journal", "-wal", "-shm") if found.kind == "sqlite" else ("",)
    return tuple(f"{name}{end}" for name in names for end in ends)
