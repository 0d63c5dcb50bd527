"""A record with one thing of it replaced, to learn whether that thing alters the result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from reproof.base import git
from reproof.environment.python import allows
from reproof.errors import EnvironmentBuildError, UsageError
from reproof.model.artifact import Artifact
from reproof.model.event import Emit, Event
from reproof.model.record import CodeSection, Distribution, Record
from reproof.store.directory import DirectoryStore
from reproof.workflow.packages import packages_of
from reproof.workflow.provision import Provision, Wanted, provide
from reproof.workflow.supplies import Supplies

_TOOLS = ("pip", "setuptools", "wheel")  # in an environment without being asked for


def with_other_code(record: Record, top: Path, revision: str) -> tuple[Record, str]:
    """The recorded run with the code of another commit; parameters, data, environment and seed stay.

    Files that Git tracks are code here, data among them. Data of DVC stays as recorded.

    Args:
        record: The recorded run.
        top: Its repository.
        revision: Commit, branch or tag there; uncommitted changes take no part.

    Returns:
        The record to be re-created, and what was replaced, for people.

    Raises:
        UsageError: The repository has no such commit.
    """
    commit = git.require_commit(top, revision)
    code = CodeSection(
        commit=commit,
        tree=git.git_text(top, "rev-parse", f"{commit}^{{tree}}"),
        remote=record.code.remote,
        checkout=record.code.checkout,
        submodules=record.code.submodules,
    )
    captured = {artifact.name for artifact in record.code.untracked}
    kept = tuple(
        artifact
        for artifact in record.materials
        if artifact.origin != "git" and artifact.name not in captured
    )
    before = record.code.commit[:12] + (" with changes" if record.code.dirty else "")
    replaced = msgspec.structs.replace(record, code=code, materials=kept)
    return replaced, f"code {before} -> {commit[:12]} ({revision})"


def with_other_data(
    record: Record, store: DirectoryStore, words: tuple[str, ...], *, new: bool = False
) -> tuple[Record, str]:
    """The recorded run with other content of inputs; code, parameters, environment and seed stay.

    What Git tracks is code, unless it is named.

    Args:
        record: The recorded run.
        store: Receives the other content.
        words: As :class:`reproof.workflow.supplies.Supplies` takes them.
        new: Inputs that the record does not have may be named: those of other code.

    Returns:
        The record to be re-created, and what was replaced, for people.

    Raises:
        UsageError: A place is not there, or stands for none of the inputs.
    """
    supplies = Supplies(words)
    names = () if new else supplies.named
    unknown = [name for name in names if not any(_is_in(each.name, name) for each in record.materials)]
    if unknown:
        raise _no_input(record, f"the run has no input `{unknown[0]}` to be replaced")
    others = {artifact.name: artifact for artifact in _others(record, store, supplies)}
    before = {artifact.name: artifact for artifact in record.materials}
    if not others:
        raise _no_input(record, "none of the places that `--data` names has an input of the run")
    gone = [name for name in before if any(name.startswith(f"{known}/") for known in supplies.named)]
    kept = (each for name, each in before.items() if name not in others and name not in gone)
    replaced = msgspec.structs.replace(record, materials=(*kept, *others.values()))
    return replaced, f"data {', '.join(_changes(before, others))}"


def _is_in(name: str, folder: str) -> bool:
    return name == folder or name.startswith(f"{folder}/")


def _no_input(record: Record, message: str) -> UsageError:
    inputs = [each.name for each in record.materials if each.origin != "git" and not each.is_web]
    return UsageError(
        message,
        details=[("inputs", ", ".join(f"`{name}`" for name in inputs[:5]) or "none but what Git tracks")],
        hint="pass `--data NAME=PATH`, NAME being the input as the record has it",
    )


def _others(record: Record, store: DirectoryStore, supplies: Supplies) -> Iterator[Artifact]:
    for name, place in supplies.named.items():
        for path in (
            [place] if place.is_file() else sorted(each for each in place.rglob("*") if each.is_file())
        ):
            inner = name if place.is_file() else f"{name}/{path.relative_to(place).as_posix()}"
            yield _kept(inner, path, store)
    for artifact in record.materials:
        found = None
        if artifact.origin != "git" and not artifact.is_web and not artifact.name.startswith("/"):
            found = supplies.find(artifact.name)
        if found is not None and found.is_file():
            yield _kept(artifact.name, found, store)


def _kept(name: str, path: Path, store: DirectoryStore) -> Artifact:
    digest = store.put(path)
    return Artifact(
        name=name,
        digests={digest.algorithm: digest.value},
        size=path.stat().st_size,
        origin="external",
        kept=True,
    )


def _changes(before: dict[str, Artifact], others: dict[str, Artifact]) -> Iterator[str]:
    """``data/x.csv 9f2c41d0 -> 3b1a22c0`` for the first few."""
    for name, artifact in list(others.items())[:3]:
        known = before.get(name)
        old = known.digest.short if known is not None and known.digest is not None else "nothing"
        new = artifact.digest.short if artifact.digest is not None else ""
        yield f"`{name}` {old} -> {'the same' if new == old else new}"
    if len(others) > 3:
        yield f"{len(others) - 3:,} more"


def with_other_environment(  # noqa: PLR0913  # what making an environment takes
    record: Record, store: DirectoryStore, path: Path, emit: Emit, *, offline: bool, trusted: bool
) -> tuple[Record, str]:
    """The recorded run with the packages of another lock; code, parameters, data and seed stay.

    Args:
        record: The recorded run.
        store: Receives the lock.
        path: A lock or requirements file, or the folder of a project.
        emit: Told about the work.
        offline: Take packages from the cache alone.
        trusted: Packages may be built.

    Returns:
        The record to be re-created, and what was replaced, for people. Python stays too, unless the other
        environment asks for one; so do pip, setuptools and wheel of the recorded environment, which no file
        names and which models of MLflow name, unless the other environment has others or cannot have them.

    Raises:
        UsageError: `path` names no packages, or the run was made in a container image.
        EnvironmentBuildError: The environment cannot be made.
    """
    section = record.environment
    if section.kind == "docker":
        raise UsageError("cannot replace the packages of a run that was made in a container image")
    wanted = packages_of(path.absolute(), emit)
    assert wanted.source is not None  # packages_of refuses what names none
    recorded = section.python.version if section.python is not None else None
    source = msgspec.structs.replace(wanted.source, wheels_only=not trusted)
    stays = recorded is not None and (wanted.python is None or allows(wanted.python, recorded))
    wanted = msgspec.structs.replace(wanted, source=source, python=recorded if stays else wanted.python)
    emit(Event(kind="start", subject="environment", message=f"making the environment of `{path}`"))
    made = _with_tools_of(record, wanted, store, emit, offline=offline).section
    emit(Event(kind="finish", subject="environment"))
    other = msgspec.structs.replace(
        section,
        kind=made.kind,
        python=made.python,
        lock=made.lock,
        distributions=made.distributions,
        disagreements=(),
        native=(),
    )
    before = f"`{section.lock.source}`" if section.lock is not None else "the user's own"
    changed = _versions(record, other.distributions)
    words = f"environment {before} -> `{path}`{f' ({changed})' if changed else ' (the same versions)'}"
    return msgspec.structs.replace(record, environment=other), words


def _with_tools_of(
    record: Record, wanted: Wanted, store: DirectoryStore, emit: Emit, *, offline: bool
) -> Provision:
    assert wanted.source is not None
    source = wanted.source
    tools = tuple(
        f"{each.name}=={each.version}" for each in record.environment.distributions if each.name in _TOOLS
    )
    if tools:
        more = msgspec.structs.replace(source, tools=tools)
        try:
            other = msgspec.structs.replace(wanted, source=more)
            return provide(other, source.folder, store, offline=offline, emit=emit)
        except EnvironmentBuildError:
            pass  # of the packages themselves it says so again
    return provide(wanted, source.folder, store, offline=offline, emit=emit)


def _versions(record: Record, others: tuple[Distribution, ...]) -> str:
    """``numpy 1.26.4 -> 2.0.1`` for the first few packages that differ."""
    before = {each.name: each.version for each in record.environment.distributions}
    after = {each.name: each.version for each in others}
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    some = [f"{name} {before.get(name, 'absent')} -> {after.get(name, 'absent')}" for name in names[:3]]
    return ", ".join([*some, *([f"{len(names) - 3:,} more"] if len(names) > 3 else [])])
