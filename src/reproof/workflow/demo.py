"""`demo`: write a real project, run it, re-create the run, compare."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reproof.errors import UsageError
from reproof.examples.bikes import write_project
from reproof.model.event import Emit, Event, silent
from reproof.model.record import Record
from reproof.model.verdict import Verdict
from reproof.workflow.begin import RunOptions
from reproof.workflow.pipeline.recorded import RecordedPipeline
from reproof.workflow.pipeline.run import PipelineOptions, run_pipeline
from reproof.workflow.run import RecordedRun, run
from reproof.workflow.verify import VerifyOptions, verify


def demo(
    directory: Path,
    emit: Emit = silent,
    *,
    offline: bool = False,
    isolation: str = "auto",
    pipeline: bool = False,
) -> tuple[Verdict, Record]:
    """Write the bikes project into `directory` and take it through the whole loop.

    Args:
        directory: Absent, or an empty folder.
        emit: Told about the work.
        offline: Take packages from the cache alone.
        isolation: As for `verify`.
        pipeline: Run every step from the raw data to a promoted model, not the training alone.

    Raises:
        UsageError: `directory` has something in it; nothing was changed.
    """
    _require_empty(directory)
    emit(Event(kind="note", subject="demo", message=f"writing the bikes project into `{directory}`"))
    write_project(directory)
    with _without_tracking():
        recorded = (
            _run_pipeline(directory, emit, offline=offline)
            if pipeline
            else _run(directory, emit, offline=offline)
        )
        for line in recorded.summary():
            emit(Event(kind="note", subject="demo", message=line))
        path = recorded.folder / "records" / f"{recorded.id}.json"
        return verify(path, VerifyOptions(isolation=isolation, offline=offline), emit)


def _run(directory: Path, emit: Emit, *, offline: bool) -> RecordedRun:
    options = RunOptions(
        uri=str(directory),
        parameters={"conf_file": "confs/training.yaml"},
        experiment="bikes",
        run_name="Training",
        offline=offline,
    )
    return run(options, emit)


def _run_pipeline(directory: Path, emit: Emit, *, offline: bool) -> RecordedPipeline:
    recorded = run_pipeline(PipelineOptions(uri=str(directory), experiment="bikes", offline=offline), emit)
    if recorded.problem is not None:
        raise recorded.problem
    return recorded


def _require_empty(directory: Path) -> None:
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(
            f"cannot write the demo into `{directory}`: it is not empty",
            details=[("nothing", "was changed")],
            hint=f"run `reproof demo {directory}-2`",
        )


@contextmanager
def _without_tracking() -> Iterator[None]:
    """The demo tracks into its own folder, never into a store that the user has configured."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("MLFLOW_")}
    try:
        yield
    finally:
        os.environ.update(kept)
