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
from reproof.workflow.pipeline.recorded import RecordedPipeline
from reproof.workflow.run import RecordedRun
from reproof.workflow.which import PipelineWishes, find_pipeline


def run(uri: str | Path = ".", *, emit: Emit = silent, **options: Any) -> RecordedRun | RecordedPipeline:
    """Run and record a project: a single run, or a pipeline where the command line would run one.

    Args:
        uri: Its folder or Git address.
        emit: Called with each event of the work.
        options: Fields of :class:`reproof.workflow.run.RunOptions`: `parameters`, `command`, `seed` ...
            and for pipelines of :class:`reproof.workflow.which.PipelineWishes`: `targets`, `jobs`, `force`.

    Returns:
        The recorded run; `.record` is the record, `.exit_status` that of the command. Of a pipeline
        `.stages` holds the records of its stages, by name.

    Raises:
        ReproofError: What cannot be done, as on the command line.
    """
    wishes = {name: options.pop(name) for name in PipelineWishes.__struct_fields__ if name in options}
    plain = running.RunOptions(uri=str(uri), **options)
    pipeline = find_pipeline(plain, PipelineWishes(**wishes))
    if pipeline is None:
        return running.run(plain, emit)
    from reproof.workflow.pipeline.run import run_pipeline

    recorded = run_pipeline(pipeline, emit)
    if recorded.problem is not None:
        raise recorded.problem
    return recorded


def verify(
    recorded: RecordedRun | RecordedPipeline | str | Path = "last", *, emit: Emit = silent, **options: Any
) -> Verdict:
    """Re-create a recorded run and compare.

    Args:
        recorded: What :func:`run` returned, an id, ``last``, or a record file.
        emit: Called with each event of the work.
        options: Fields of :class:`reproof.workflow.verify.VerifyOptions`: `accept`, `rtol`, `isolation` ...

    Raises:
        ReproofError: No verdict can be given.
    """
    if isinstance(recorded, (RecordedRun, RecordedPipeline)):
        recorded = recorded.folder / "records" / f"{recorded.id}.json"
    return verifying.verify(recorded, verifying.VerifyOptions(**options), emit)[0]


def diff(a: str | Path, b: str | Path, *, emit: Emit = silent, **options: Any) -> Difference:
    """How two files, folders or records differ; see :func:`reproof.workflow.diff.diff`."""
    return diffing.diff(str(a), str(b), diffing.DiffOptions(**options), emit)
