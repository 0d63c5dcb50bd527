"""Digests of the content of tables among materials: taken once for each content, and kept.

Decoding a table costs many times what digesting its bytes costs, and Arrow's readers are written in
C++: some damaged files make them end the whole process. So it is done by a process of its own, and not
again for content whose digest is known.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import msgspec

from reproof.base.digesting import digest_file
from reproof.base.files import write_atomic
from reproof.base.naming import Naming
from reproof.model.artifact import Artifact
from reproof.model.event import Emit, Event
from reproof.model.record import Record
from reproof.model.table import ENDINGS, TableDigest

#: Bytes of tables that one run digests; what exceeds them has the digest of its bytes alone.
LIMIT = 1 << 30

_SLOWEST = 2e6  # bytes per second
_PATIENCE = 60.0  # seconds for the smallest
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from reproof.workflow.tables import serve; serve(sys.stdin.buffer, sys.stdout.buffer)"
)


class _Answer(msgspec.Struct):
    """What came of one table: its digest, and BLAKE3 of the bytes that it was read from."""

    blake3: str = ""
    table: TableDigest | None = None


def with_tables(record: Record, naming: Naming, folder: Path, emit: Emit) -> Record:
    """The record, its materials that are tables with the digest of what they hold.

    Args:
        record: Of a run that has just ended: its materials are still in their place.
        naming: Where that is.
        folder: ``.reproof``; what is known of a content is kept in ``tables`` below it.
        emit: Told about the work.
    """
    wanted: dict[str, Artifact] = {}
    room = LIMIT
    for artifact in record.materials:
        if _is_table(artifact) and artifact.size <= room:
            room -= artifact.size
            wanted[artifact.name] = artifact
    known = {name: found for name, each in wanted.items() if (found := _recall(folder, each)) is not None}
    missing = [each for name, each in wanted.items() if name not in known]
    if missing:
        emit(Event(kind="start", subject="tables", message="digesting what tables hold"))
        for artifact, table in _digest(missing, naming):
            known[artifact.name] = table
            with contextlib.suppress(OSError):  # it can be taken again
                write_atomic(_place(folder, artifact), msgspec.json.encode(table), durable=False)
        emit(Event(kind="finish", subject="tables"))
    materials = tuple(
        msgspec.structs.replace(each, table=known[each.name]) if each.name in known else each
        for each in record.materials
    )
    return msgspec.structs.replace(record, materials=materials)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Digest the tables whose paths come in, a line for each; what the process does."""
    from reproof.compare.protocol import ContentError
    from reproof.compare.table_digest import digest_table

    for line in requests:
        path = Path(msgspec.json.decode(line, type=str))
        answer = _Answer()
        with contextlib.suppress(ContentError, OSError, ValueError, MemoryError):
            table = digest_table(path).shortened()
            answer = _Answer(digest_file(path)["blake3"], table)
        answers.write(msgspec.json.encode(answer) + b"\n")
        answers.flush()


def _is_table(artifact: Artifact) -> bool:
    ending = PurePosixPath(artifact.name).suffix.lower()
    return ending in ENDINGS and artifact.kind == "file" and "blake3" in artifact.digests


def _place(folder: Path, artifact: Artifact) -> Path:
    ending = PurePosixPath(artifact.name).suffix.lower()
    return folder / "tables" / f"{artifact.digests['blake3']}{ending}.json"


def _recall(folder: Path, artifact: Artifact) -> TableDigest | None:
    try:
        return msgspec.json.decode(_place(folder, artifact).read_bytes(), type=TableDigest)
    except (OSError, msgspec.DecodeError):
        return None


def _digest(artifacts: Iterable[Artifact], naming: Naming) -> Iterator[tuple[Artifact, TableDigest]]:
    """Those that can be read as tables and whose bytes are still those that were recorded."""
    listed = list(artifacts)
    while listed:
        answers = _ask(
            [str(naming.find_file(each.name)) for each in listed], sum(each.size for each in listed)
        )
        for artifact, answer in zip(listed, answers, strict=False):
            if answer.table is not None and answer.blake3 == artifact.digests["blake3"]:
                yield artifact, answer.table
        listed = listed[len(answers) + 1 :]  # the process ended at the first without an answer


def _ask(paths: list[str], size: int) -> list[_Answer]:
    command = [sys.executable, "-c", _START, msgspec.json.encode(sys.path).decode()]
    lines = b"".join(msgspec.json.encode(path) + b"\n" for path in paths)
    try:
        done = subprocess.run(  # our own interpreter
            command,
            input=lines,
            capture_output=True,
            check=False,
            timeout=_PATIENCE + size / _SLOWEST,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # its threads would only spin
        )
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
    else:
        output = done.stdout
    whole = output[: output.rfind(b"\n") + 1].splitlines()
    return [msgspec.json.decode(line, type=_Answer) for line in whole]
