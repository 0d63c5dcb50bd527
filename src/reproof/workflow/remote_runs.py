"""Runs that were recorded elsewhere: found in their MLflow store, brought here with all that came along.

The code comes from the recorded remote, or from the bundle among the run's artifacts; content that
no remote has comes from the artifacts. Nothing is written to the store or to the user's work tree.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from reproof.base import cloning, git
from reproof.base.digesting import digest_bytes
from reproof.base.files import remove_tree
from reproof.base.locations import data_directory, own_folder
from reproof.errors import ProjectError, RecordError, ReproofError
from reproof.model.codec import decode_record, record_id
from reproof.model.event import Emit, Event
from reproof.model.record import Record
from reproof.store.directory import DirectoryStore
from reproof.store.records import Found, RecordStore
from reproof.tracking import lookup
from reproof.tracking.address import resolve
from reproof.tracking.values import RECORD_ARTIFACT, Access, Run
from reproof.workflow.cached import mlflow_interpreters
from reproof.workflow.enclosures import BUNDLE, OBJECTS, PRIMARY, needed_content, useful_content
from reproof.workflow.lookup import find_record


class _Remote(msgspec.Struct, frozen=True, kw_only=True):
    """A run in a store, and what it holds."""

    access: Access
    run: Run
    paths: frozenset[str]

    def read(self, path: str) -> bytes | None:
        """One artifact; None where there is none."""
        return lookup.read_artifact(self.access, self.run, path, listed=True) if path in self.paths else None


def find_anywhere(reference: str, tracking_uri: str | None, emit: Emit) -> Found:
    """The record that `reference` names: of this project, else of the MLflow store that was named.

    Args:
        reference: As :func:`reproof.workflow.lookup.find_record` takes it, or an MLflow run id (or a
            unique beginning of one) in the store.
        tracking_uri: The store; MLFLOW_TRACKING_URI when None. Without either only this project counts.
        emit: Told about the work.

    Raises:
        RecordError: Nothing, or more than one record, fits; or it cannot be trusted.
        ProjectError: The code of the run is nowhere to be had.
        TrackingError: The store cannot be read, or has no such run.
    """
    named = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    try:
        return find_record(reference)
    except (RecordError, ProjectError):
        if not named or reference.startswith("last") or "/" in reference or reference.endswith(".json"):
            raise
    emit(Event(kind="start", subject="run", message=f"looking for run {reference[:12]} in MLflow"))
    remote = _open(reference, tracking_uri, os.environ)
    data = _record_of(remote)
    record = decode_record(data, where=f"{RECORD_ARTIFACT} of run {remote.run.run_id}")
    top = _clone_of(remote, record, record_id(data), emit)
    records = RecordStore(own_folder(top))
    found = records.adopt(data)
    records.write_tracking(
        found.id,
        {
            "status": "written",
            "uri": remote.access.address.uri,
            "run_id": remote.run.run_id,
            "experiment_id": remote.run.experiment_id,
        },
    )
    _bring_content(remote, record, DirectoryStore(records.folder))
    emit(Event(kind="finish", subject="run"))
    return msgspec.structs.replace(found, run_id=remote.run.run_id)


def _open(reference: str, tracking_uri: str | None, environment: Mapping[str, str]) -> _Remote:
    here = Path.cwd()
    access = Access(
        address=resolve(tracking_uri, environment, here),
        environment=dict(environment),
        directory=here,
        interpreters=mlflow_interpreters(),
    )
    run = lookup.find_run(access, reference)
    return _Remote(access=access, run=run, paths=frozenset(lookup.artifact_paths(access, run)))


def _record_of(remote: _Remote) -> bytes:
    """The record among the artifacts of a run, which must be the one that the run's tag names."""
    data = remote.read(RECORD_ARTIFACT)
    where = [("run", remote.run.run_id), ("store", remote.access.address.uri)]
    if data is None:
        raise RecordError(
            f"run `{remote.run.run_id}` has no record: it was not made by `reproof run`", details=where
        )
    tagged = remote.run.tags.get("reproof.record")
    if tagged and tagged != record_id(data):
        raise RecordError(
            f"the record of run `{remote.run.run_id}` was changed after it was written",
            details=[*where, ("expected", f"sha256:{tagged}"), ("found", f"sha256:{record_id(data)}")],
        )
    return data


def _clone_of(remote: _Remote, record: Record, identity: str, emit: Emit) -> Path:
    """A repository with the recorded commit: the current one, or a clone of our own."""
    here = git.find_top(Path.cwd())
    if here is not None and git.has_commit(here, record.code.commit):
        return here
    name = Path(record.project.name).name or "project"
    target = data_directory() / "runs" / identity[:16] / name
    if target.is_dir() and git.has_commit(target, record.code.commit):
        return target
    remove_tree(target)
    emit(Event(kind="start", subject="code", message=f"cloning commit {record.code.commit[:12]}"))
    try:
        _clone(remote, record, target)
    except ReproofError:
        remove_tree(target.parent)
        raise
    emit(Event(kind="finish", subject="code"))
    return target


def _clone(remote: _Remote, record: Record, target: Path) -> None:
    """From the recorded remote, with what the bundle adds; or from the bundle alone."""
    code, data = record.code, remote.read(BUNDLE)
    trouble: ProjectError | None = None
    if code.remote:
        try:
            cloning.clone(code.remote, target, code.commit if data is None else None)
        except ProjectError as error:
            trouble = error
            remove_tree(target)
    if not target.is_dir():
        if data is None:
            raise _no_code(record, trouble)
        target.mkdir(parents=True)
        git.git_bytes(target, "init", "--quiet")
    if data is not None:
        place = target.parent / "code.bundle"
        place.write_bytes(data)
        cloning.add_bundle(target, place)
        place.unlink()
    if not git.has_commit(target, code.commit):
        raise _no_code(record, trouble)
    git.git_bytes(target, "-c", "core.hooksPath=/dev/null", "checkout", "--quiet", "--detach", code.commit)


def _no_code(record: Record, trouble: ProjectError | None) -> ProjectError:
    code = record.code
    facts = [("commit", code.commit), ("remote", code.remote or "none was recorded")]
    if trouble is not None:
        facts.append(("reason", trouble.message))
        facts += trouble.details
    facts.append(("bundle", "none among the artifacts of the run"))
    return ProjectError(
        "cannot find the code of the run",
        details=facts,
        hint="go to a clone that has the commit" if code.remote is None else f"run `git clone {code.remote}`",
    )


def _bring_content(remote: _Remote, record: Record, store: DirectoryStore) -> None:
    """Take what came along into the store; what did not is asked for, by name, when it is needed."""
    for artifact in (*(each for _, each in needed_content(record)), *useful_content(record)):
        digest = artifact.digest
        if digest is None or digest.algorithm != "blake3" or digest in store:
            continue
        places = [f"{OBJECTS}/{digest.value}"]
        if artifact.name.startswith(PRIMARY):
            places.append(artifact.name.removeprefix(PRIMARY))
        for place in places:
            data = remote.read(place)
            if data is not None and digest_bytes(data)["blake3"] == digest.value:
                store.put_bytes(data)
                break
