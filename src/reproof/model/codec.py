"""Records and verdicts as JSON bytes, and back, with validation."""

from __future__ import annotations

import hashlib
from typing import TypeVar

import msgspec

from reproof.errors import RecordError
from reproof.model.record import SCHEMA as RECORD_SCHEMA
from reproof.model.record import Record
from reproof.model.verdict import SCHEMA as VERDICT_SCHEMA
from reproof.model.verdict import Verdict

T = TypeVar("T", Record, Verdict)


class _Head(msgspec.Struct):
    """The part of a document that says what the rest is."""

    schema: str


def encode(value: Record | Verdict) -> bytes:
    """The document's exact bytes: indented JSON, keys in the order of the schema, final newline."""
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def record_id(data: bytes) -> str:
    """The id of a record: the sha256 of its exact bytes, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def decode_record(data: bytes, *, where: str) -> Record:
    """Read a record.

    Args:
        data: The document's bytes.
        where: Name of the file or run, for messages.

    Raises:
        RecordError: Not JSON, truncated, not a record, or of a schema that this version does not know.
    """
    return _decode(data, Record, RECORD_SCHEMA, where)


def decode_verdict(data: bytes, *, where: str) -> Verdict:
    """Read a verdict; see :func:`decode_record`."""
    return _decode(data, Verdict, VERDICT_SCHEMA, where)


def _decode(data: bytes, kind: type[T], schema: str, where: str) -> T:
    noun = kind.__name__.lower()
    try:
        head = msgspec.json.decode(data, type=_Head)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(
            f"cannot read the {noun} `{where}`: it is damaged or not a {noun}",
            details=[("size", f"{len(data)} bytes"), ("reason", str(error))],
        ) from error
    if head.schema != schema:
        raise _other_schema(head.schema, schema, noun, where)
    try:
        value = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(
            f"cannot read the {noun} `{where}`: it does not follow its schema",
            details=[("schema", schema), ("reason", str(error))],
        ) from error
    if isinstance(value, Record):
        _require_inner_names(value, where)
    return value


def _require_inner_names(record: Record, where: str) -> None:
    """Names of what is put into a clean room must stay in it, and out of Git's own folder."""
    below = [record.project.subdirectory, *(item.name for item in record.code.untracked)]
    below += [item.path for item in record.code.submodules]
    below += [item.name for item in record.materials if item.origin in ("git", "dvc", "captured")]
    for name in below:
        parts = name.split("/")
        if name.startswith("/") or any(part.lower() == ".git" for part in parts):
            raise _outside(name, where)
    for name in (*below, *(item.name for item in record.materials if not item.is_web)):
        if ".." in name.split("/") or "\0" in name:
            raise _outside(name, where)


def _outside(name: str, where: str) -> RecordError:
    return RecordError(
        f"cannot use the record `{where}`: `{name}` is no name of a file below the project",
        details=[("why", "what is re-created from it could be put anywhere")],
    )


def _other_schema(found: str, known: str, noun: str, where: str) -> RecordError:
    family, _, number = found.rpartition("/")
    newer = (
        family == known.rpartition("/")[0]
        and number.isdigit()
        and int(number) > int(known.rpartition("/")[2])
    )
    return RecordError(
        f"cannot read the {noun} `{where}`: " + ("it has a newer schema" if newer else f"it is not a {noun}"),
        details=[("schema", found), ("known here", known)],
        hint="read it with a newer version of reproof" if newer else None,
    )
