"""Whether a stage has to run: what its last record depends on, compared with what is there now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from reproof.base.digesting import digest_bytes
from reproof.base.files import write_atomic
from reproof.base.naming import Naming
from reproof.errors import MaterialError, RecordError
from reproof.model.pipeline import Stage
from reproof.model.record import EnvironmentSection, Record
from reproof.model.stages import StageContent
from reproof.store.records import Found, RecordStore
from reproof.workflow.pipeline.contents import Measuring, Reading
from reproof.workflow.pipeline.registry_moves import moves

_FOLDER = "stages"


class _Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """Which record is the last good one of a stage."""

    stage: str
    record: str


class LastRecords:
    """The last good record of each stage, by address; kept beside the records.

    Args:
        records: The records of the project.
        root: The folder of the pipeline, below the top of the repository.
    """

    def __init__(self, records: RecordStore, root: str = "") -> None:
        self._records = records
        self._root = root

    def find(self, address: str) -> Found | None:
        """The last good record of a stage; None where there is none that can be used."""
        try:
            pointer = msgspec.json.decode(self._place(address).read_bytes(), type=_Pointer)
            found = self._records.read(pointer.record)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecordError):
            return None
        stage = found.record.stage
        return found if stage is not None and stage.address == address else None

    def keep(self, address: str, record: str) -> None:
        """Make `record` the last good one of a stage. Raises OSError where that cannot be written."""
        pointer = _Pointer(stage=address, record=record)
        write_atomic(self._place(address), msgspec.json.encode(pointer), durable=False)

    def _place(self, address: str) -> Path:
        name = digest_bytes(f"{self._root}\0{address}".encode())["blake3"][:32]
        return self._records.folder / _FOLDER / f"{name}.json"


class Now(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage depends on, as it is now.

    Attributes:
        stage: The stage.
        environment: See :func:`environment_key`.
        seed: The seed that was asked for; None where every run gets a fresh one.
        measuring: Measures what it declares.
        reading: Digests of this moment.
        naming: Names of files.
    """

    stage: Stage
    environment: str
    seed: int | None
    measuring: Measuring
    reading: Reading
    naming: Naming


def environment_key(section: EnvironmentSection) -> str:
    """What decides whether an environment is the same: interpreter and every package."""
    python = section.python
    facts: list[Any] = [section.kind, (python.version, python.build) if python is not None else None]
    facts += [
        (each.name, each.version, each.record, each.source)
        for each in section.distributions
        if each.name != "reproof"
    ]
    return digest_bytes(json.dumps(facts).encode())["blake3"]


def why_run(now: Now, last: Record | None) -> str | None:
    """Why a stage has to run; None where its last record still holds and its products are there.

    Args:
        now: The stage, and what it depends on.
        last: Its last good record.
    """
    if now.stage.always_changed:
        return "it is marked `always_changed`"
    if last is None or last.stage is None:
        return "it has no record yet"
    return next(_reasons(now, last), None)


def _reasons(now: Now, last: Record) -> Iterator[str]:
    stage, then = now.stage, last.stage
    assert then is not None
    if json.dumps(stage.cmd) != then.cmd:
        yield "its command changed"
    yield from _params(now, then.params)
    yield from _deps(now, then.deps)
    if then.environment != now.environment:
        yield "the environment changed"
    if now.seed is not None and now.seed != last.randomness.seed:
        yield f"the seed changed to {now.seed}"
    yield from _materials(now, last)
    yield from moves(last, now.naming)
    yield from _outs(now, then.outs)


def _params(now: Now, then: str) -> Iterator[str]:
    values, before = json.loads(json.dumps(now.measuring.params(now.stage))), json.loads(then)
    for file in dict.fromkeys((*values, *before)):
        for name in dict.fromkeys((*values.get(file, {}), *before.get(file, {}))):
            new, old = values.get(file, {}).get(name), before.get(file, {}).get(name)
            if new != old:
                yield f"parameter `{name}` of `{file}` changed from {json.dumps(old)} to {json.dumps(new)}"


def _deps(now: Now, then: tuple[StageContent, ...]) -> Iterator[str]:
    before = {each.place: each for each in then}
    for dep in now.stage.deps:
        content = now.measuring.named(dep, now.reading)
        if content is None:
            yield f"`{dep.path}` is not there"
        elif dep.place not in before:
            yield f"`{dep.path}` is a new dependency"
        elif content.identity != before[dep.place].identity:
            yield f"`{dep.path}` changed"
    gone = before.keys() - {dep.place for dep in now.stage.deps}
    yield from (f"`{before[place].path}` is no dependency any more" for place in sorted(gone))


def _materials(now: Now, last: Record) -> Iterator[str]:
    """Whatever was really read: imported code, and what dvc.yaml does not declare."""
    known = [
        (each, str(now.naming.find_file(each.name))) for each in last.materials if "blake3" in each.digests
    ]
    digests = now.reading.digest_files([path for _, path in known], ("blake3",))
    places = tuple(dep.place for dep in now.stage.deps)
    files = {each.place for each in now.stage.params}
    for (artifact, _), found in zip(known, digests, strict=True):
        if (
            artifact.name in files
            or any(_is_below(artifact.name, place) for place in places)
            or not artifact.has_place
        ):
            continue
        if isinstance(found, OSError):
            yield f"`{artifact.name}`, which it read, is gone"
        elif found["blake3"] != artifact.digests["blake3"]:
            yield f"`{artifact.name}`, which it read, changed"


def _outs(now: Now, then: tuple[StageContent, ...]) -> Iterator[str]:
    before = {each.place: each for each in then}
    for out in now.stage.outs:
        try:
            content = now.measuring.content(out, now.reading)
        except MaterialError:
            content = None
        if out.place not in before:
            yield f"`{out.path}` is a new output"
        elif content is None:
            yield f"`{out.path}` is not there"
        elif content.md5 != before[out.place].md5:
            yield f"`{out.path}` is not what the stage made"
    gone = before.keys() - {out.place for out in now.stage.outs}
    yield from (f"`{before[place].path}` is no output any more" for place in sorted(gone))


def _is_below(name: str, place: str) -> bool:
    return name == place or name.startswith(f"{place}/")
