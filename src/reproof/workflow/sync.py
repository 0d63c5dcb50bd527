"""`sync`: push what had to wait."""

from __future__ import annotations

import os
from pathlib import Path

from reproof.base import git
from reproof.base.locations import FOLDER
from reproof.errors import TrackingError
from reproof.model.event import Emit, Event, silent
from reproof.store.records import RecordStore
from reproof.store.replications import ReplicationStore
from reproof.tracking.address import parse, resolve
from reproof.tracking.finish import finish
from reproof.tracking.sync import Pending, done, pending
from reproof.tracking.values import Access
from reproof.workflow.cached import mlflow_interpreters


def sync(emit: Emit = silent, *, directory: Path | None = None) -> tuple[int, int]:
    """Push all records and verdicts of the project at `directory` that wait for MLflow.

    Returns:
        How many were pushed, and how many still wait; `emit` is told why.

    Raises:
        ProjectError: There is no repository here.
    """
    top = git.require_top(directory or Path.cwd(), reading=True)
    own = top / FOLDER
    waiting = pending(own / "pending")
    pushed = sum(_push(item, RecordStore(own), top, emit) for item in waiting)
    return pushed, len(waiting) - pushed


def _push(item: Pending, records: RecordStore, top: Path, emit: Emit) -> bool:
    """Write one thing that waited; whether it is done. What still cannot be written stays, and is told."""
    if item.finish is None:
        emit(Event(kind="warning", subject="sync", message=f"`{item.path}` cannot be read: {item.problem}"))
        return False
    named = resolve(None, os.environ, top)
    address = named if named.uri == item.finish.uri else parse(item.finish.uri, top)
    access = Access(
        address=address, environment=dict(os.environ), directory=top, interpreters=mlflow_interpreters()
    )
    try:
        outcome = finish(item.finish, access)
    except TrackingError as error:
        emit(Event(kind="warning", subject="sync", message=error.message, hint=error.hint))
        return False
    if outcome.status == "deferred":
        emit(Event(kind="warning", subject="sync", message=f"`{outcome.uri}`: {outcome.reason}"))
        return False
    done(item.path)
    facts = {"status": "written", "uri": outcome.uri, "run_id": outcome.run_id}
    if outcome.experiment_id:
        facts["experiment_id"] = outcome.experiment_id
    for key, run in outcome.nested.items():
        if (records.folder / "records" / f"{key}.json").is_file():  # a stage of a pipeline
            records.write_tracking(key, {**facts, "run_id": run})
    replications = ReplicationStore(records.folder)
    if replications.has_plan(item.finish.record):
        replications.write_tracking(item.finish.record, facts)
    else:
        records.write_tracking(item.finish.record, facts)
    return True
