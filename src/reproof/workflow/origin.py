"""`show` of a model: which recorded run made it, by the content of its files alone."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from reproof.base import git
from reproof.base.digesting import digest_bytes, digest_file
from reproof.base.locations import FOLDER
from reproof.errors import RecordError, TrackingError, UsageError
from reproof.model.codec import decode_record, decode_verdict, record_id
from reproof.model.event import Emit, Event
from reproof.model.origin import Origin, OriginFile
from reproof.model.record import Record
from reproof.model.verdict import Verdict
from reproof.store.records import RecordStore
from reproof.tracking import lookup, registry
from reproof.tracking.address import resolve
from reproof.tracking.values import RECORD_ARTIFACT, Access
from reproof.workflow.cached import mlflow_interpreters

#: Written by MLflow when a model is fetched from a registry: it names where from, and is no part of the model.
_ADDED = ("registered_model_meta",)


class _Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A record that may have made the files."""

    id: str
    record: Record
    run_id: str | None
    verdicts: tuple[Verdict, ...]


def names_a_model(text: str) -> bool:
    """Whether `text` is something to be asked about here: a model's address, or a file or folder that is no record."""
    return text.lower().startswith(registry.SCHEME) or (
        ("/" in text or Path(text).suffix != "") and Path(text).exists() and not _may_be_record(Path(text))
    )


def _may_be_record(path: Path) -> bool:
    """A JSON file that is called as records are, or says that it is one: damaged or not, it is no model."""
    if path.suffix != ".json" or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return True
    return re.fullmatch(r"[0-9a-f]{64}", path.stem) is not None or b"reproof/record/" in head or not head


def find_origin(subject: str, tracking_uri: str | None, emit: Emit) -> Origin:
    """Find the run that made a model.

    A run made it when every file of the model has content and name of one of the run's products. What
    a registry or a file says of its own origin counts for nothing.

    Args:
        subject: ``models:/NAME@ALIAS`` and the like, or a file or folder.
        tracking_uri: The MLflow store; MLFLOW_TRACKING_URI, else MLflow's default, when None.
        emit: Told about the work.

    Raises:
        TrackingError: The registry cannot be read, or has no such model.
        UsageError: There are no files.
    """
    here = Path.cwd()
    access = Access(
        address=resolve(tracking_uri, os.environ, here),
        environment=dict(os.environ),
        directory=here,
        interpreters=mlflow_interpreters(),
    )
    emit(Event(kind="start", subject="model", message=f"reading the files of {subject}"))
    model = registry.find_model(access, subject) if subject.lower().startswith(registry.SCHEME) else None
    files = tuple(_digested(access, model)) if model is not None else tuple(_local(Path(subject)))
    emit(Event(kind="finish", subject="model"))
    if not files:
        raise UsageError(f"`{subject}` has no files")
    claimed = model.run_id if model is not None else None
    origin = Origin(
        subject=subject,
        version=model.version if model is not None else "",
        source=model.source if model is not None else str(Path(subject).absolute()),
        files=files,
        claimed_run_id=claimed,
        searched=_places(here, access if claimed else None),
    )
    return _with_producer(origin, _candidates(here, access, claimed))


def _places(here: Path, access: Access | None) -> tuple[str, ...]:
    top = git.find_top(here)
    places = [str(top / FOLDER)] if top is not None else []
    return (*places, *([access.address.uri] if access is not None else []))


def _digested(access: Access, model: registry.ModelVersion) -> Iterator[OriginFile]:
    for name, content in registry.read_files(access, model):
        digests = digest_file(content) if isinstance(content, Path) else digest_bytes(content)
        yield OriginFile(name=name, digest=f"blake3:{digests['blake3']}")


def _local(path: Path) -> Iterator[OriginFile]:
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    for each in files:
        name = each.name if each == path else each.relative_to(path).as_posix()
        yield OriginFile(name=name, digest=f"blake3:{digest_file(each)['blake3']}")


def _candidates(here: Path, access: Access, claimed: str | None) -> Iterator[_Candidate]:
    """The record of the run that the registry names, then those of this project, newest first."""
    top = git.find_top(here)
    records = RecordStore(top / FOLDER) if top is not None else None
    if claimed is not None and (found := _of_run(access, claimed)) is not None:
        here_too = records.verdicts(found.id) if records is not None else ()
        yield msgspec.structs.replace(found, verdicts=(*found.verdicts, *here_too))
    if records is None:
        return
    for summary in records.list():
        try:
            read = records.read(summary.id)
            verdicts = records.verdicts(summary.id)
        except RecordError:
            continue  # `reproof list` shows what is wrong with it
        yield _Candidate(id=read.id, record=read.record, run_id=read.run_id, verdicts=verdicts)


def _of_run(access: Access, run_id: str) -> _Candidate | None:
    """The record among the artifacts of a run, with the verdicts beside it."""
    try:
        run = lookup.find_run(access, run_id)
        data = lookup.read_artifact(access, run, RECORD_ARTIFACT)
        if data is None:
            return None
        folder = RECORD_ARTIFACT.rpartition("/")[0]
        names = [path for path in lookup.artifact_paths(access, run) if path.startswith(f"{folder}/verdict-")]
        read = [
            lookup.read_artifact(access, run, name, listed=True) or b""
            for name in sorted(names)
            if name.endswith(".json")
        ]
        record = decode_record(data, where=f"{RECORD_ARTIFACT} of run {run_id}")
        verdicts = [decode_verdict(each, where=f"run {run_id}") for each in read]
    except (RecordError, TrackingError):
        return None
    identity = record_id(data)
    mine = tuple(verdict for verdict in verdicts if verdict.record == identity)
    return _Candidate(id=identity, record=record, run_id=run_id, verdicts=mine)


def _with_producer(origin: Origin, candidates: Iterator[_Candidate]) -> Origin:
    """The first candidate that has all files; of the others the one with the most, for what is missing."""
    best: tuple[OriginFile, ...] = origin.files
    for candidate in candidates:
        files = _matched(origin.files, candidate.record)
        missing = [each for each in files if each.product is None and each.name not in _ADDED]
        if not missing and any(each.product for each in files):
            return msgspec.structs.replace(
                origin,
                files=files,
                record=candidate.id,
                run_id=candidate.run_id,
                project=candidate.record.project.name,
                created=candidate.record.created,
                commit=candidate.record.code.commit,
                verdict=_newest(candidate.verdicts),
            )
        if _count(files) > _count(best):
            best = files
    return msgspec.structs.replace(origin, files=best)


def _matched(files: Sequence[OriginFile], record: Record) -> tuple[OriginFile, ...]:
    """Each file with the product that has its content; within a model also its name, or files could be swapped."""
    products: dict[str, list[str]] = {}
    for product in record.products:
        products.setdefault(str(product.digest), []).append(product.name)
    found = []
    for each in files:
        fitting = [
            name
            for name in products.get(each.digest, ())
            if len(files) == 1 or name == each.name or name.endswith(f"/{each.name}")
        ]
        found.append(msgspec.structs.replace(each, product=fitting[0] if fitting else None))
    return tuple(found)


def _count(files: Sequence[OriginFile]) -> int:
    return sum(each.product is not None for each in files)


def _newest(verdicts: Sequence[Verdict]) -> Verdict | None:
    return max(verdicts, key=lambda verdict: verdict.created, default=None)
