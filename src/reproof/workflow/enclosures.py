"""What travels with a run in MLflow, so that whoever can read the run can re-create it elsewhere.

Beside ``reproof/record.json`` among the artifacts of the run::

    reproof/code.bundle       commits that no remote had at the time of the run
    reproof/objects/BLAKE3    content that only the run's own machine had
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from reproof.base.cloning import bundle
from reproof.errors import ReproofError
from reproof.model.artifact import Artifact
from reproof.model.record import Record
from reproof.store.directory import DirectoryStore

BUNDLE = "reproof/code.bundle"
OBJECTS = "reproof/objects"
PRIMARY = "mlflow/artifacts/"  # names of what was logged to the run itself, and is among its artifacts


class Enclosures(msgspec.Struct, frozen=True, kw_only=True):
    """Content for the artifacts of a run.

    Attributes:
        artifacts: Path below the run's artifacts to content.
        left_out: Names of what a re-run elsewhere lacks, each with the reason.
    """

    artifacts: dict[str, bytes] = {}
    left_out: tuple[tuple[str, str], ...] = ()


def needed_content(record: Record) -> Iterator[tuple[str, Artifact]]:
    """What no room can be made without, each with what it is to people."""
    lock = record.environment.lock
    if lock is not None:
        yield f"the lock of the recorded environment (`{lock.artifact.name}`)", lock.artifact
    if record.code.patch is not None:
        yield "the uncommitted changes of the recorded run", record.code.patch
    for artifact in record.code.untracked:
        if artifact.kind == "file":
            yield f"`{artifact.name}`, which Git did not track", artifact


def useful_content(record: Record) -> Iterator[Artifact]:
    """What is kept besides: inputs that nothing else has, and results to compare with."""
    for artifact in (*record.materials, *record.products):
        if artifact.kept:
            yield artifact


def enclose(record: Record, store: DirectoryStore, top: Path, limit: int) -> Enclosures:
    """Gather what a re-run on another machine needs and cannot get from Git, DVC or an index.

    Args:
        record: The finished record.
        store: Its content.
        top: Its repository.
        limit: Bytes in all; what is needed comes first, then inputs, then results.
    """
    artifacts: dict[str, bytes] = {}
    left_out: list[tuple[str, str]] = []
    room = limit
    if record.code.unpushed:
        room, problem = _enclose_code(record, top, room, artifacts)
        left_out += [("unpushed commits", problem)] if problem else []
    others = (each for each in useful_content(record) if not each.name.startswith(PRIMARY))
    for artifact in (*(each for _, each in needed_content(record)), *others):
        digest = artifact.digest
        place = f"{OBJECTS}/{digest.value}" if digest is not None else ""
        if digest is None or digest.algorithm != "blake3" or place in artifacts:
            continue
        if artifact.size > room:
            left_out.append((artifact.name, f"{artifact.size:,} bytes"))
            continue
        try:
            artifacts[place] = store.get_bytes(digest)
        except ReproofError as error:
            left_out.append((artifact.name, error.message))
            continue
        room -= artifact.size
    left_out += _only_here(record)
    return Enclosures(artifacts=artifacts, left_out=tuple(left_out))


def _enclose_code(record: Record, top: Path, room: int, artifacts: dict[str, bytes]) -> tuple[int, str]:
    """Put unpushed commits into `artifacts`; returns the room that is left, and why they are not there."""
    with tempfile.TemporaryDirectory(prefix="reproof-") as folder:
        target = Path(folder) / "code.bundle"
        try:
            if not bundle(top, [record.code.commit], target):
                return room, ""
        except ReproofError as error:
            return room, error.message
        size = target.stat().st_size
        if size > room:
            return room, f"{size:,} bytes; push them"
        artifacts[BUNDLE] = target.read_bytes()
        return room - size, ""


def _only_here(record: Record) -> Iterator[tuple[str, str]]:
    """Inputs that have no place but their own on this machine."""
    for artifact in record.materials:
        if artifact.origin == "external" and not artifact.kept and not artifact.is_web:
            yield artifact.name, "in neither Git nor DVC"
