"""Objects of buckets that a run read: materials by version and ETag, pinned for a re-run, and what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import msgspec

from reproof.capture.observations import Observations
from reproof.capture.secrets import address_without_secrets, conceal_in
from reproof.model.artifact import Artifact
from reproof.model.observation import Stored
from reproof.model.record import Omission, Record
from reproof.workflow.materials import CHANGED

_SCHEMES = ("s3://", "gs://", "az://")


def object_materials(observations: Observations) -> tuple[tuple[Artifact, ...], tuple[Omission, ...]]:
    """One material for each object that was read, by name.

    An object that had other content later in the run is an input that changed under it; the material is
    what was read first.
    """
    found: dict[str, list[Stored]] = {}
    for line in observations.of(Stored):
        found.setdefault(conceal_in(f"{line.scheme}://{line.bucket}/{line.key}"), []).append(line)
    omissions = []
    for name, lines in found.items():
        seen = list(dict.fromkeys(_identity(line) for line in lines if line.version or line.etag))
        if len(seen) > 1:
            before, after = (_shown(*each) for each in (seen[0], seen[-1]))
            omissions.append(Omission(subject=name, reason=f"{CHANGED}: {before} first, {after} later"))
    return tuple(_material(name, found[name]) for name in sorted(found)), tuple(omissions)


def is_object(artifact: Artifact) -> bool:
    """Whether it was read from a bucket."""
    return artifact.name.startswith(_SCHEMES)


def is_pinned(recorded: Artifact, again: Artifact | None) -> bool:
    """Whether a re-run read the very version that was recorded."""
    return again is not None and bool(recorded.version) and recorded.version == again.version


def pinned_objects(recorded: Record, rerun: Record) -> frozenset[str]:
    """Names of the objects of which a re-run read the very version that was recorded."""
    again = {each.name: each for each in rerun.materials}
    return frozenset(each.name for each in recorded.materials if is_pinned(each, again.get(each.name)))


def differs(recorded: Artifact, again: Artifact) -> bool | None:
    """Whether an object had other content in a re-run; None where neither side says enough."""
    both = recorded.digests.keys() & again.digests.keys()
    if any(recorded.digests[name] != again.digests[name] for name in both):
        return True
    if both or is_pinned(recorded, again):
        return False
    if recorded.etag and again.etag:
        return recorded.etag != again.etag
    return None


def pins(record: Record, folder: Path) -> dict[str, str]:
    """Variables by which a re-run reads the recorded versions of objects; their list is written into `folder`."""
    versions = [each for each in record.materials if is_object(each) and each.version]
    if not versions:
        return {}
    place = folder / "objects"
    lines = [
        f"{quote(each.name.replace('://', '/', 1))} {quote(each.version or '', safe='')}\n"
        for each in versions
    ]
    place.write_text("".join(lines), encoding="ascii")
    return {"REPROOF_OBJECTS": str(place)}


def with_doubts(rerun: Record, recorded: Record) -> Record:
    """A re-run that read other objects than the recorded run, or nobody knows whether, proves nothing."""
    again = {each.name: each for each in rerun.materials if is_object(each)}
    doubts = tuple(
        Omission(subject=each.name, reason=reason, hides_results=True)
        for each in recorded.materials
        if each.name in again
        for reason in _doubts(each, again[each.name])
    )
    return msgspec.structs.replace(rerun, omissions=(*rerun.omissions, *doubts)) if doubts else rerun


def _doubts(recorded: Artifact, again: Artifact) -> Iterator[str]:
    difference = differs(recorded, again)
    why = "" if recorded.version else "; its bucket kept no version to ask for"
    if difference:
        before, after = (_shown(each.version, each.etag) for each in (recorded, again))
        yield f"is no longer what was recorded: {after}, recorded {before}{why}"
    elif difference is None:
        yield f"whether it is still what was recorded cannot be known: neither version, ETag nor digest was seen{why}"


def _shown(version: str | None, etag: str | None) -> str:
    return f"version `{version}`" if version else f"ETag `{etag}`" if etag else "other bytes"


def _identity(line: Stored) -> tuple[str, str]:
    """A version has one content, whatever ETags a store and its interfaces give it."""
    return (line.version, "") if line.version else ("", line.etag)


def _material(name: str, lines: list[Stored]) -> Artifact:
    first = next((line for line in lines if line.version or line.etag), lines[0])
    same = [line for line in lines if _identity(line) == _identity(first)]
    whole = next((line for line in same if line.whole and line.sha256), None)
    where = next((f"read at {line.where}" for line in same if line.where), "")
    part = "" if whole else "not read to its end, or in parts"
    return Artifact(
        name=name,
        digests={"sha256": whole.sha256} if whole else {},
        size=whole.size if whole else max(line.size for line in same),
        origin="external",
        source=address_without_secrets(first.endpoint) or None,
        version=first.version or None,
        etag=first.etag or None,
        note=", ".join(each for each in (part, where) if each) or None,
    )
