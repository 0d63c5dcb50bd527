"""Runs that were recorded elsewhere: found in their MLflow store, brought here with all that came along.

The code comes from the recorded remote, or from the bundle among the run's artifacts; content that
no remote has comes from the artifacts. Nothing is written to the store or to the user's work tree.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from reproof.base import cloning, git
from reproof.base.digesting import digest_bytes
from reproof.base.files import remove_tree
from reproof.base.locations import data_directory, own_folder
from reproof.errors import MissingError, ProjectError, RecordError, ReproofError, TrackingError
from reproof.model.codec import decode_record, record_id
from reproof.model.event import Emit, Event
from reproof.model.record import Record
from reproof.store.directory import DirectoryStore
from reproof.store.records import Found, RecordStore
from reproof.tracking import experiments, lookup
from reproof.tracking.address import resolve
from reproof.tracking.values import RECORD_ARTIFACT, Access, Run
from reproof.workflow.cached import mlflow_interpreters
from reproof.workflow.enclosures import BUNDLE, OBJECTS, PRIMARY, needed_content, useful_content
from reproof.workflow.lookup import find_record

_RUN_ID = re.compile(r"[0-9a-f]{8,64}")

#: What Git says where it has no login, or a wrong one.
_LOCKED = ("could not read Username", "could not read Password", "Authentication failed", "Permission denied")


class UnrecordedError(RecordError):
    """A run of MLflow that has no record of ours: :mod:`reproof.workflow.unrecorded` knows what to do with it.

    Attributes:
        access: The store.
        run: The run.
    """

    access: Access
    run: Run


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
        UnrecordedError: There is such a run, and reproof did not record it.
        ProjectError: The code of the run is nowhere to be had.
        TrackingError: The store cannot be read, or has no such run.
    """
    try:
        return find_record(reference)
    except (RecordError, ProjectError):
        named = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or _is_store_here(reference)
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
    run = _find_run(access, reference)
    if "reproof.record" not in run.tags and not _has_record(access, run):
        raise _unrecorded(access, run)
    return _Remote(access=access, run=run, paths=frozenset(lookup.artifact_paths(access, run)))


def _find_run(access: Access, reference: str) -> Run:
    try:
        return lookup.find_run(access, reference)
    except TrackingError:
        if not experiments.is_deleted(access, reference):
            raise
    raise MissingError(
        "run",
        f"run `{reference}` was deleted",
        details=[("store", access.address.uri)],
        hint=f"run `mlflow runs restore --run-id {reference}`",
    )


def _has_record(access: Access, run: Run) -> bool:
    try:
        return lookup.read_artifact(access, run, RECORD_ARTIFACT) is not None
    except TrackingError:  # its artifacts cannot be reached, and no tag says that there is one
        return False


def _unrecorded(access: Access, run: Run) -> UnrecordedError:
    error = UnrecordedError(
        f"run `{run.run_id}` has no record: it was not made by `reproof run`",
        details=[("store", access.address.uri)],
    )
    error.access, error.run = access, run
    return error


def _is_store_here(reference: str) -> bool:
    """Whether `reference` may be the id of a run, and MLflow's own default store is here."""
    if not _RUN_ID.fullmatch(reference):
        return False
    path = resolve(None, {}, Path.cwd()).path
    return path is not None and path.exists()


def _record_of(remote: _Remote) -> bytes:
    """The record among the artifacts of a run, which must be the one that the run's tag names."""
    data = remote.read(RECORD_ARTIFACT)
    where = [("run", remote.run.run_id), ("store", remote.access.address.uri)]
    tagged = remote.run.tags.get("reproof.record")
    if data is None and tagged:
        raise RecordError(
            f"the record of run `{remote.run.run_id}` is not among its artifacts",
            details=[*where, ("record", f"sha256:{tagged}"), ("artifacts", remote.run.artifact_uri)],
            hint="bring the artifacts of the run back, or verify the record where the run was made",
        )
    if data is None:
        raise _unrecorded(remote.access, remote.run)
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
            cloning.clone(code.remote, target, code.commit if data is None else None, submodules=False)
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
    cloning.fetch_submodules(target)


def _no_code(record: Record, trouble: ProjectError | None) -> ProjectError:
    """The error for code that is not to be had, with the way out that fits what went wrong."""
    code = record.code
    facts = [("commit", code.commit), ("remote", code.remote or "none was recorded")]
    if trouble is not None:
        facts.append(("reason", trouble.message))
        facts += trouble.details
    facts.append(("bundle", "none among the artifacts of the run"))
    return ProjectError("cannot find the code of the run", details=facts, hint=_way_to_code(record, trouble))


def _way_to_code(record: Record, trouble: ProjectError | None) -> str:
    code, said = record.code, " ".join(text for _, text in trouble.details) if trouble is not None else ""
    here = "verify it in a clone that has the commit"
    if code.remote is None:
        return here
    if any(sign in said for sign in _LOCKED):
        return f"run `git ls-remote {code.remote}` until Git has a login for it, then verify again"
    if trouble is not None and trouble.message.startswith("cannot clone"):
        moved = f"git config --global url.NEW-ADDRESS.insteadOf {code.remote}"
        return f"{here}; or, if the repository has moved, run `{moved}`"
    return f"{here}; or push the commit again from there: `git push origin {code.commit}:refs/heads/recorded`"


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
