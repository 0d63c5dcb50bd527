"""What a run read of earlier runs and of the model registry in MLflow, from the lines of the child.

Versions that an alias stood for, and runs that were looked at, become a part of the record; the files
that were read become materials, kept in the store, with an address of MLflow for a name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from reproof.base.naming import Naming
from reproof.capture.observations import Observations
from reproof.capture.secrets import conceal_value
from reproof.errors import StoreError
from reproof.model.artifact import Artifact
from reproof.model.observation import (
    ArtifactRead,
    ModelCreated,
    ModelRead,
    RunOpened,
    RunRead,
    VersionRead,
    VersionRegistered,
)
from reproof.model.record import Omission
from reproof.model.tracked import (
    OwnVersion,
    ReadMetric,
    ReadModel,
    ReadRun,
    ReadVersion,
    TrackedSection,
)
from reproof.store.directory import DirectoryStore
from reproof.workflow.logged import keep_copy

_Line = TypeVar("_Line", VersionRead, RunRead, ModelRead)


class TrackedReads(msgspec.Struct, frozen=True, kw_only=True):
    """What a run had to do with earlier ones.

    Attributes:
        section: For the record; None for a run that used no MLflow.
        materials: The files that it read.
        places: Absolute paths where it read them: materials under these names already.
        omissions: What of it could not be kept.
    """

    section: TrackedSection | None = None
    materials: tuple[Artifact, ...] = ()
    places: frozenset[str] = frozenset()
    omissions: tuple[Omission, ...] = ()


def gather_reads(
    lines: Observations, runs: tuple[str, ...], scratch: Path, store: DirectoryStore, naming: Naming
) -> TrackedReads:
    """Turn the child's lines into a section and materials.

    Args:
        lines: All observations.
        runs: Ids of the runs that the code opened, in the order of their numbers.
        scratch: The folder that the child kept copies in.
        store: Receives content.
        naming: Replaces this machine's paths in texts.
    """
    own = TrackedSection(
        own_versions=tuple(
            OwnVersion(name=line.name, version=line.version) for line in lines.of(VersionRegistered)
        ),
        own_runs=runs,
        own_models=tuple(dict.fromkeys(line.model for line in lines.of(ModelCreated))),
    )
    seen: list[VersionRead | RunRead | ModelRead] = [
        *lines.of(VersionRead),
        *lines.of(RunRead),
        *lines.of(ModelRead),
    ]
    section = msgspec.structs.replace(
        own,
        uri=naming.replace_in(next((line.uri for line in seen if line.uri), "")),
        versions=tuple(_versions(lines, own.own, naming)),
        runs=tuple(_runs(lines, own.own, naming)),
        models=tuple(_models(lines, own.own, naming)),
        searched=any(line.searched and _address(line) not in own.own for line in seen),
    )
    materials, omissions = _files(lines, own.own, scratch, store)
    return TrackedReads(
        section=section if section != TrackedSection() else None,
        materials=materials,
        places=frozenset(line.place for line in lines.of(ArtifactRead)),
        omissions=omissions,
    )


def _address(line: VersionRead | RunRead | ModelRead) -> str:
    if isinstance(line, RunRead):
        return f"runs:/{line.run}"
    if isinstance(line, ModelRead):
        return f"models:/{line.model}"
    return f"models:/{line.name}/{line.version}"


def _versions(lines: Observations, own: frozenset[str], naming: Naming) -> Iterator[ReadVersion]:
    """One for each version, with every alias that led to it; an alias belongs to where it led first."""
    found: dict[str, ReadVersion] = {}
    taken: set[tuple[str, str]] = set()
    for line in lines.of(VersionRead):
        address = _address(line)
        if address in own:
            continue
        fresh = [alias for alias in line.aliases if (line.name, alias) not in taken]
        taken.update((line.name, alias) for alias in fresh)
        known = found.get(address)
        if known is None:
            known = ReadVersion(
                name=line.name,
                version=line.version,
                stage=line.stage,
                source=naming.replace_in(line.source),
                run=line.run,
                model=line.model,
                status=line.status,
                description=naming.replace_in(line.description),
                created=line.created,
                tags=_texts(line.tags, naming),
            )
        found[address] = msgspec.structs.replace(
            known,
            aliases=tuple(dict.fromkeys((*known.aliases, *fresh))),
            latest=known.latest or line.latest,
        )
    yield from found.values()


def _runs(lines: Observations, own: frozenset[str], naming: Naming) -> Iterator[ReadRun]:
    opened = {line.run for line in lines.of(RunOpened)}
    for line in _first(lines.of(RunRead), "run"):
        if f"runs:/{line.run}" in own or line.run in opened:
            continue
        yield ReadRun(
            run=line.run,
            experiment=line.experiment,
            experiment_id=line.experiment_id,
            name=line.name,
            status=line.status,
            started=line.started,
            ended=line.ended,
            tags=_texts(line.tags, naming),
            parameters=_texts(line.parameters, naming),
            metrics=tuple(
                ReadMetric(key=key, value=value, step=step, time=time)
                for key, value, step, time in line.metrics
            ),
        )


def _models(lines: Observations, own: frozenset[str], naming: Naming) -> Iterator[ReadModel]:
    for line in _first(lines.of(ModelRead), "model"):
        if f"models:/{line.model}" in own:
            continue
        yield ReadModel(
            model=line.model,
            name=line.name,
            run=line.run,
            experiment=line.experiment,
            experiment_id=line.experiment_id,
            type=line.type,
            status=line.status,
            created=line.created,
            tags=_texts(line.tags, naming),
            parameters=_texts(line.parameters, naming),
        )


def _first(lines: Iterator[_Line], key: str) -> Iterator[_Line]:
    """The first line of each, which says what was there before the run did anything about it."""
    found: dict[str, _Line] = {}
    for line in lines:
        found.setdefault(getattr(line, key), line)
    yield from found.values()


def _texts(values: dict[str, str], naming: Naming) -> dict[str, str]:
    return {key: conceal_value(key, naming.replace_in(value)) for key, value in values.items()}


def _files(
    lines: Observations, own: frozenset[str], scratch: Path, store: DirectoryStore
) -> tuple[tuple[Artifact, ...], tuple[Omission, ...]]:
    found: dict[str, Artifact] = {}
    omissions: list[Omission] = []
    for line in lines.of(ArtifactRead):
        name = f"{line.root}/{line.path}"
        if line.root in own or name in found:
            continue
        try:
            kept = keep_copy(line, name, scratch, store)
        except (OSError, StoreError) as error:
            reason = f"read from MLflow; it could not be kept: {error}"
            omissions.append(Omission(subject=name, reason=reason))
            kept = Artifact(name=name, digests={"sha256": line.sha256}, size=line.size, origin="mlflow")
        found[name] = msgspec.structs.replace(kept, source=line.asked or None)
    return tuple(found[name] for name in sorted(found)), tuple(omissions)
