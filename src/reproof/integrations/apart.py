"""A store of its own for a project whose MLflow is not the one that was called.

Two versions of MLflow cannot share a store that is not a server: the newer one migrates it, the older one
is locked out. So the project logs to a folder, which every version reads and writes, and the outer
MLflow, which is the one to know the outer store, takes the runs over from there.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from reproof.environment.local_python import find_local_python
from reproof.store.records import RecordStore
from reproof.tracking.address import parse

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

    from reproof.workflow.run import RecordedRun

_PARENT = "mlflow.parentRunId"
_BATCH = 1000  # metrics in one call, MLflow's own limit


def is_another_mlflow(tracking_uri: str, *, local: bool) -> bool:
    """Whether a project may have another MLflow than ours, and the store is one that two cannot share.

    Args:
        tracking_uri: The outer store.
        local: The project runs in the active environment; else in one that is made for it.
    """
    if parse(tracking_uri, Path.cwd()).kind in ("rest", "other"):
        return False
    return not local or find_local_python().parent.resolve() != Path(sys.executable).parent.resolve()


@contextmanager
def store_apart() -> Iterator[str]:
    """Address of an empty store in a folder of its own, which is removed at the end; every MLflow may use it."""
    folder = Path(tempfile.mkdtemp(prefix="reproof-runs-"))
    before = os.environ.get("MLFLOW_ALLOW_FILE_STORE")
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"  # which MLflow asks for since 3.7
    try:
        yield (folder / "mlruns").as_uri()
    finally:
        if before is None:
            del os.environ["MLFLOW_ALLOW_FILE_STORE"]
        else:
            os.environ["MLFLOW_ALLOW_FILE_STORE"] = before
        shutil.rmtree(folder, ignore_errors=True)


def take_over(recorded: RecordedRun, inner: str, outer: str, experiment_id: str) -> RecordedRun:
    """Write the runs of the store `inner` into `outer`, with all that was logged to them.

    Returns:
        The recorded run, whose run in MLflow is now the outer one.
    """
    from mlflow.tracking import MlflowClient

    source, target = MlflowClient(inner), MlflowClient(outer)
    known: dict[str, str] = {}
    for run in _runs(source):
        known[run.info.run_id] = _copy(source, target, run, experiment_id, known)
    uri = parse(outer, Path.cwd()).uri
    tracked = msgspec.structs.replace(
        recorded.tracked,
        uri=uri,
        run_id=known.get(recorded.run_id or ""),
        experiment_id=experiment_id,
    )
    RecordStore(recorded.folder).write_tracking(recorded.id, tracked.facts())
    return msgspec.structs.replace(recorded, tracked=tracked)


def _runs(source: MlflowClient) -> list[Run]:
    """All runs, those that others are nested in before these."""
    experiments = [each.experiment_id for each in source.search_experiments()]
    runs = list(source.search_runs(experiments)) if experiments else []
    ordered: list[Run] = []
    waiting = sorted(runs, key=lambda run: run.info.start_time)
    there = {run.info.run_id for run in runs}
    placed: set[str] = set()
    while waiting:
        ready = [run for run in waiting if run.data.tags.get(_PARENT) not in there - placed] or waiting
        ordered += ready
        placed |= {run.info.run_id for run in ready}
        waiting = [run for run in waiting if run.info.run_id not in placed]
    return ordered


def _copy(
    source: MlflowClient, target: MlflowClient, run: Run, experiment_id: str, known: dict[str, str]
) -> str:
    """Write one run with all that belongs to it; returns its id in the target."""
    tags = dict(run.data.tags)
    if _PARENT in tags:
        tags[_PARENT] = known.get(tags[_PARENT], tags[_PARENT])
    made = target.create_run(
        experiment_id, start_time=run.info.start_time, tags=tags, run_name=run.info.run_name
    )
    identity: str = made.info.run_id
    for name, value in run.data.params.items():
        target.log_param(identity, name, value)
    for metric in run.data.metrics:
        history = source.get_metric_history(run.info.run_id, metric)
        for start in range(0, len(history), _BATCH):
            target.log_batch(identity, metrics=history[start : start + _BATCH])
    if run.inputs is not None and run.inputs.dataset_inputs:
        target.log_inputs(identity, datasets=run.inputs.dataset_inputs)
    _copy_artifacts(source, target, run, identity)
    target.set_terminated(identity, run.info.status, run.info.end_time)
    return identity


def _copy_artifacts(source: MlflowClient, target: MlflowClient, run: Run, identity: str) -> None:
    """The files of a run; and those of its models, which MLflow 3 keeps beside the run, below their names."""
    folder = parse(run.info.artifact_uri, Path.cwd()).path
    if folder is not None and folder.is_dir():
        target.log_artifacts(identity, str(folder))
    for model in _models(source, run):
        place = parse(model.artifact_location, Path.cwd()).path
        if place is not None and place.is_dir():
            target.log_artifacts(identity, str(place), artifact_path=model.name)


def _models(source: MlflowClient, run: Run) -> list[Any]:
    search = getattr(source, "search_logged_models", None)  # MLflow 2 has none
    found = search(experiment_ids=[run.info.experiment_id]) if search is not None else []
    return [model for model in found if model.source_run_id == run.info.run_id]
