"""From what a project (or a record) says about its environment to an environment that runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from reproof.base import git
from reproof.base.containers import Image
from reproof.base.naming import Naming
from reproof.environment import conda
from reproof.environment.bytecode import compile_sources, imported_sources
from reproof.environment.create import create, find_cached
from reproof.environment.images import Survey
from reproof.environment.local_python import find_local_python, inspect, overlay
from reproof.environment.lock import disagreements, make_lock, read_lock_file
from reproof.environment.python import find_python, require_reachable
from reproof.environment.values import (
    Environment,
    EnvironmentRequest,
    Interpreter,
    LockSource,
    LockText,
)
from reproof.errors import EnvironmentBuildError, InternalError
from reproof.model.artifact import Artifact
from reproof.model.digest import Digest
from reproof.model.event import Emit, Event
from reproof.model.record import Distribution, EnvironmentSection, Lock, PythonBuild
from reproof.store.directory import DirectoryStore
from reproof.workflow.wheels import require_locked


class Contained(msgspec.Struct, frozen=True, kw_only=True):
    """What a container is made from.

    Attributes:
        image: The image.
        survey: What it has of Python.
        volumes: ``(source, target, writable)``: folders of this machine at other places.
        variables: Those that the project asks for.
        user: User and group id.
    """

    image: Image
    survey: Survey
    volumes: tuple[tuple[str, str, bool], ...] = ()
    variables: dict[str, str] = {}
    user: str | None = None


class Provision(msgspec.Struct, frozen=True, kw_only=True):
    """An environment, ready to run in.

    Attributes:
        environment: The environment itself.
        scripts: Folder that stands first on PATH (of an overlay for the user's own environment).
        prefix: Value of VIRTUAL_ENV.
        section: What the record says, native libraries and variables still missing.
        conditions: What could not be locked.
        used_again: Something of the original set-up, not re-created; says what.
        contained: The container that it is in; None outside of one.
    """

    environment: Environment
    scripts: Path
    prefix: Path
    section: EnvironmentSection
    conditions: tuple[str, ...] = ()
    used_again: str | None = None
    contained: Contained | None = None

    @property
    def prefixes(self) -> tuple[Path, ...]:
        """Folders whose files are packages or the interpreter's own, not inputs of a run."""
        environment = self.environment
        if self.contained is not None:
            return ()
        folders = (environment.folder, self.prefix, environment.base.prefix, *environment.paths)
        return tuple(dict.fromkeys(form for folder in folders for form in (folder, folder.resolve())))

    @property
    def search(self) -> tuple[Path, ...]:
        """Folders that stand first on a PATH that has nothing of the user's: an overlay mirrors only Python's scripts."""
        own = (self.environment.scripts,) if self.section.kind == "local" else ()
        return (self.scripts, *own)

    def variables(self, path: str) -> dict[str, str]:
        """PATH and VIRTUAL_ENV that put the environment first; `path` is the rest of PATH."""
        return {"PATH": f"{self.scripts}{os.pathsep}{path}", "VIRTUAL_ENV": str(self.prefix)}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a project asks for.

    Attributes:
        source: Where its packages are written down; None for the environment that is active.
        python: Version request.
        others: Lock files that stand beside the one that counts, below the project.
    """

    source: LockSource | None
    python: str | None = None
    others: tuple[str, ...] = ()


def provide(wanted: Wanted, folder: Path, store: DirectoryStore, *, offline: bool, emit: Emit) -> Provision:
    """Make (or find in the cache) the environment of a project, or take the active one.

    Raises:
        EnvironmentBuildError: It cannot be made.
        ProjectError: A file that names packages is wrong.
    """
    if wanted.source is None:
        return _provide_local(find_local_python(), folder)
    python = find_python(wanted.python)
    lock = make_lock(wanted.source, python, offline=offline, emit=emit)
    request = EnvironmentRequest(
        lock=lock,
        python=python,
        folder=folder,
        groups=wanted.source.groups,
        extras=wanted.source.extras,
        offline=offline,
        wheels_only=wanted.source.wheels_only,
    )
    environment = create(request, None, emit)
    others = tuple(line for name in wanted.others for line in _disagreement(folder, name, environment))
    for line in others:
        emit(Event(kind="warning", subject="environment", message=line))
    section = EnvironmentSection(
        kind="uv",
        python=_named(environment.base.build, environment.base.build.executable, folder),
        lock=_keep_lock(lock, store),
        distributions=environment.distributions,
        disagreements=others,
    )
    return Provision(
        environment=environment,
        scripts=environment.scripts,
        prefix=environment.folder,
        section=section,
        conditions=(*lock.unhashed, *environment.conditions),
    )


class Original(msgspec.Struct, frozen=True, kw_only=True):
    """What a room re-creates an environment from.

    Attributes:
        section: The record's section.
        store: Holds the lock.
        naming: Finds the interpreter of a user's own environment again.
        folder: The project's folder in the room.
        top: Top of the room's clone.
        target: Where the room's environment is to be; None for the one that is cached for the lock.
        offline: Take packages from the cache alone.
        groups: Dependency groups that the project names.
        extras: Extras that the project names.
        trusted: False where the record is a stranger's: nothing is built, and no program of theirs runs.
        allow_python: Versions that may stand in for the recorded Python.
        wheels: A folder with the very files that the lock names; nothing else is looked at then.
    """

    section: EnvironmentSection
    store: DirectoryStore
    naming: Naming
    folder: Path
    top: Path
    target: Path | None
    offline: bool = False
    groups: tuple[str, ...] | None = None
    extras: tuple[str, ...] = ()
    trusted: bool = True
    allow_python: str | None = None
    wheels: Path | None = None


def provide_again(original: Original, emit: Emit) -> Provision:
    """Re-create the environment of a record from its lock, every file required by hash.

    The user's own environment (no lock) is used again, and that limits what may be said.

    Raises:
        EnvironmentBuildError: The interpreter or a package is not to be had.
        StoreError: The lock is not in the store.
    """
    section = original.section
    if section.kind != "uv" or section.lock is None or section.python is None:
        return _take_again(original)
    python = find_recorded_python(section.python, original.allow_python)
    request = EnvironmentRequest(
        lock=_recorded_lock(section.lock, original),
        python=python,
        folder=original.folder,
        groups=original.groups,
        extras=original.extras,
        offline=original.offline,
        wheels=original.wheels,
        wheels_only=not original.trusted,
    )
    environment = create(request, original.target, emit)
    if original.target is not None:
        _warm(request, environment, emit)
    _require_same(section.distributions, environment.distributions)
    return Provision(
        environment=environment,
        scripts=environment.scripts,
        prefix=environment.folder,
        section=msgspec.structs.replace(
            section,
            python=_named(environment.base.build, environment.base.build.executable, original.folder),
            distributions=environment.distributions,
            native=(),
        ),
        conditions=(*section.lock.unhashed, *environment.conditions),
    )


def _recorded_lock(lock: Lock, original: Original) -> LockText:
    """The recorded lock; or, where there are wheels, these: each is checked to be a file that the lock names."""
    text = _read_text(original.store, lock.artifact)
    if original.wheels is not None:
        wheels = require_locked(original.wheels, text)
        return LockText(format="requirements", text=wheels, source=lock.source, resolved=lock.resolved)
    return LockText(
        format=lock.format,  # type: ignore[arg-type]  # the record's schema is wider
        text=text,
        source=lock.source,
        resolved=lock.resolved,
        unhashed=lock.unhashed,
    )


def find_recorded_python(recorded: PythonBuild, allowed: str | None) -> Interpreter:
    """The interpreter of a record, or one that may stand in for it.

    Args:
        recorded: Its version and build.
        allowed: Versions that are as good, ``3.11.*``; None for the recorded one alone.

    Raises:
        EnvironmentBuildError: Neither is on this machine; those that are there are listed.
    """
    try:
        return find_python(recorded.version, like=recorded)
    except EnvironmentBuildError as error:
        if allowed is not None:
            return find_python(allowed)
        series = ".".join(recorded.version.split(".")[:2]) + ".*"
        try:
            find_python(series)
        except EnvironmentBuildError:
            raise error from None
        ways = f"pass `--allow-python '{series}'` to take another patch release"
        raise EnvironmentBuildError(error.message, details=error.details, hint=ways) from None


def _warm(request: EnvironmentRequest, environment: Environment, emit: Emit) -> None:
    """Compile, on all cores, what earlier runs in the cached environment imported.

    The re-run would compile it too, but on one core, and within the time that is compared to the
    recorded run's.
    """
    try:
        cached = find_cached(request)
        sources = imported_sources(cached) if cached is not None else ()
    except OSError:  # removed or replaced in the meantime
        return
    if sources:
        message = f"compiling {len(sources):,} modules"
        emit(Event(kind="start", subject="bytecode", message=message))
        compile_sources(environment, sources)
        emit(Event(kind="finish", subject="bytecode", message=message))


def _provide_local(python: Path, folder: Path) -> Provision:
    environment = inspect(python, folder)
    layer = overlay(environment)
    build = environment.base.build
    section = EnvironmentSection(
        kind="local",
        python=_named(build, str(environment.python), folder),
        distributions=environment.distributions,
        disagreements=environment.conditions,
        conda=conda.list_packages(environment.folder),
    )
    return Provision(
        environment=environment,
        scripts=layer.scripts,
        prefix=layer.folder,
        section=section,
        used_again="the user's own environment",
    )


def _named(build: PythonBuild, executable: str, folder: Path) -> PythonBuild:
    """`build` as a record names it: no path of HOME or of the repository that `folder` is in."""
    naming = Naming(top=str(git.find_top(folder) or folder), home=str(Path.home()))
    return msgspec.structs.replace(build, executable=naming.name_file(executable))


def _take_again(original: Original) -> Provision:
    recorded = original.section.python
    if not original.trusted:
        raise EnvironmentBuildError(
            "cannot re-create the environment: the record of somebody else has no lock for it",
            details=[("recorded", "an environment of their own, which would have to be used as it is here")],
            hint="pass `--trust` if you trust who made it",
        )
    if recorded is None or not recorded.executable:
        return _checked(_provide_local(find_local_python(), original.folder), original.section)
    python = original.naming.find_file(recorded.executable)
    require_reachable(python)
    if not python.exists():
        raise EnvironmentBuildError(
            "cannot re-create the environment: it was the user's own, has no lock, and is gone",
            details=[("recorded", f"Python {recorded.version} at `{recorded.executable}`")],
            hint="record the run again with a lock: `uv pip compile --generate-hashes -o requirements.txt requirements.in`",
        )
    return _checked(_provide_local(python, original.folder), original.section)


def _checked(provision: Provision, recorded: EnvironmentSection) -> Provision:
    """The user's own environment, used again, with what is no longer as it was installed or recorded."""
    environment = provision.environment
    check = conda.check_files(environment.folder)
    versions = {item.name: item.version for item in recorded.distributions}
    now = {item.name: item.version for item in environment.distributions}
    others = [
        f"{name} {now.get(name, 'absent')}, recorded {versions.get(name, 'absent')}"
        for name in sorted({*versions, *now})
        if versions.get(name) != now.get(name)
    ]
    other_conda = conda.differences(recorded.conda, provision.section.conda)
    found = {
        "not as installed": (*check.changed, *environment.conditions),
        "not as recorded": (*other_conda, *others),
    }
    lines = tuple(f"{what}: {conda.summarise(names)}" for what, names in found.items() if names)
    whole = (
        (f"as installed: all files of Conda packages ({check.files:,})",)
        if check.files and not check.changed
        else ()
    )
    return msgspec.structs.replace(provision, conditions=(*lines, *whole))


def _keep_lock(lock: LockText, store: DirectoryStore) -> Lock:
    data = lock.text.encode()
    digest = store.put_bytes(data)
    artifact = Artifact(
        name=lock.source,
        digests={digest.algorithm: digest.value},
        size=len(data),
        origin="captured",
        kept=True,
    )
    return Lock(
        format=lock.format,
        source=lock.source,
        artifact=artifact,
        resolved=lock.resolved,
        unhashed=lock.unhashed,
    )


def _read_text(store: DirectoryStore, artifact: Artifact) -> str:
    digest: Digest | None = artifact.digest
    if digest is None:
        raise InternalError("the recorded lock has no digest")
    return store.get_bytes(digest).decode()


def _disagreement(folder: Path, name: str, environment: Environment) -> tuple[str, ...]:
    return disagreements(read_lock_file(folder / name, Path(name).name), environment.distributions)


def _require_same(recorded: tuple[Distribution, ...], made: tuple[Distribution, ...]) -> None:
    before = {item.name: item.version for item in recorded}
    after = {item.name: item.version for item in made}
    if before != after:
        names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
        raise EnvironmentBuildError(
            "the environment made from the recorded lock has other packages than the recorded one",
            details=[(name, f"recorded {before.get(name)}, now {after.get(name)}") for name in names[:5]],
        )


def path_outside(variables: Mapping[str, str]) -> str:
    """PATH of `variables`, or the system's own."""
    return variables.get("PATH") or os.defpath


def describe_python(build: PythonBuild | None) -> str:
    """``CPython 3.11.7``, for people."""
    return f"Python {build.version}" if build is not None else "no Python"
