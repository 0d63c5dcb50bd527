"""Whether what was asked for is a pipeline: by dvc.yaml, or by an entry point that calls `dvc repro`."""

from __future__ import annotations

import shlex

import msgspec

from reproof.base.git import require_top
from reproof.project.dvc_graph import has_pipeline
from reproof.project.location import locate
from reproof.project.mlproject import read_mlproject
from reproof.workflow.begin import RunOptions
from reproof.workflow.pipeline.run import PipelineOptions

_FORCE = ("-f", "--force")


def as_pipeline(options: RunOptions) -> PipelineOptions | None:
    """The options for a pipeline, where `options` mean one; None where they mean a single run.

    A pipeline is meant by a folder that has a dvc.yaml with stages and no MLproject entry point
    `main`, and by an entry point whose command is ``dvc repro`` and what that is told.

    Raises:
        ProjectError: There is nothing there, or a file of the project is wrong.
    """
    if options.command or options.revision is not None:
        return None
    location = locate(options.uri)
    if location.folder is None:
        return None
    project = read_mlproject(location.folder)
    points = project.entry_points if project is not None else {}
    point = points.get(options.entry_point or "main")
    if point is not None:
        return _of_command(options, point.command)
    if options.entry_point is not None:
        return None
    top = require_top(location.folder)
    root = "" if location.folder == top else location.folder.relative_to(top).as_posix()
    return make_pipeline_options(options) if has_pipeline(top, root) else None


def make_pipeline_options(
    options: RunOptions, targets: tuple[str, ...] = (), *, jobs: int = 1, force: bool = False
) -> PipelineOptions:
    """`options` of a single run as those of a pipeline."""
    values = {name: getattr(options, name) for name in RunOptions.__struct_fields__}
    return PipelineOptions(**values, targets=targets, jobs=jobs, force=force)


def _of_command(options: RunOptions, command: str) -> PipelineOptions | None:
    """What ``dvc repro`` with nothing but targets and ``--force`` asks for."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if words[:2] != ["dvc", "repro"] or options.parameters:
        return None
    rest = [word for word in words[2:] if word not in _FORCE]
    if any(word.startswith("-") or not word.isprintable() for word in rest):
        return None
    forced = len(rest) < len(words) - 2
    plain = msgspec.structs.replace(options, entry_point=None)
    return make_pipeline_options(plain, tuple(rest), force=forced)
