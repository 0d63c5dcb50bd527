"""What a run needs before its command can start: options, environment, a record begun, a setup."""

from __future__ import annotations

import datetime as dt
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import msgspec

from reproof.base.naming import Naming
from reproof.capture import hardware, variables
from reproof.environment.values import LockSource
from reproof.errors import EnvironmentBuildError
from reproof.execute.process import ProcessRunner
from reproof.execute.profiles import variables as profile_variables
from reproof.execute.select import Isolation
from reproof.model.event import Emit, Event
from reproof.model.randomness import RandomnessSection
from reproof.model.recipe import Recipe
from reproof.model.record import Omission, Record, RunIsolation, Tool
from reproof.project.environment_files import EnvironmentSource, find_environment
from reproof.project.mlproject import MLProject
from reproof.project.settings import EnvironmentSettings
from reproof.workflow.imaged import (
    asked_by,
    build_image,
    in_container,
    keep_dockerfile,
    provide_image,
)
from reproof.workflow.isolated import Neighbours, isolate, isolate_contained
from reproof.workflow.observe import Attention, Setup
from reproof.workflow.prepare import Prepared, Wishes, declared_products, environment_of
from reproof.workflow.provision import Provision, Wanted, path_outside, provide
from reproof.workflow.tracked import Tracker, open_tracker
from reproof.workflow.tracking_files import tracking_names


class RunOptions(Wishes, frozen=True, kw_only=True):
    """What `run` may be told, besides what is to be run.

    Attributes:
        env_manager: ``uv``, ``docker``, ``local``, or None to decide by what the project has.
        tracking_uri: MLflow store; MLFLOW_TRACKING_URI or MLflow's default when None.
        log: Write to MLflow.
        offline: Make the environment from the package cache alone.
        timeout: Seconds after which the command is ended.
        echo: Pass its output through.
        terminal: Our standard output is a terminal.
        as_of: Take packages as they were at this time (ISO 8601), where the project gives no exact ones.
        isolation: How the run is kept apart: ``none``, ``auto``, ``process``, ``bubblewrap`` or ``docker``.
    """

    env_manager: str | None = None
    tracking_uri: str | None = None
    log: bool = True
    offline: bool = False
    timeout: float | None = None
    echo: bool = False
    terminal: bool = False
    as_of: str | None = None
    isolation: Isolation = "none"


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is about to start.

    Attributes:
        draft: The record as far as it is known before the start.
        provision: The environment.
        tracker: Where MLflow's part is written.
        setup: How the command is carried out.
    """

    draft: Record
    provision: Provision
    tracker: Tracker
    setup: Setup


def begin(options: RunOptions, prepared: Prepared, scratch: Path, emit: Emit) -> Begun:
    """Make everything that is needed before the command of a project can start; nothing is started.

    Args:
        options: What was asked for.
        prepared: The project.
        scratch: An empty folder for observations and copies.
        emit: Told about the work.

    Raises:
        EnvironmentBuildError: The environment cannot be made.
        TrackingError: The MLflow store that was named cannot be reached.
    """
    tracker = open_tracker(prepared, options.tracking_uri, enabled=options.log)
    provision = _provide(options, prepared, emit)
    packages = {item.name for item in provision.section.distributions}
    has_mlflow = provision.contained is None and bool(packages & {"mlflow", "mlflow-skinny"})
    tracker = tracker.with_installation(provision.environment.python, has_mlflow=has_mlflow)
    draft = draft_of(prepared, provision)
    setup = _setup(options, prepared, provision, tracker, scratch)
    setup, isolation = _kept_apart(options.isolation, setup, prepared, provision, tracker)
    added = profile_variables(prepared.profile, setup.recipe.env, gpu=bool(draft.hardware.gpus))
    environment = msgspec.structs.replace(draft.environment, isolation=isolation)
    return Begun(
        draft=msgspec.structs.replace(draft, environment=environment),
        provision=provision,
        tracker=tracker,
        setup=msgspec.structs.replace(setup, recipe=setup.recipe.with_env(added), profile_variables=added),
    )


def _kept_apart(
    isolation: Isolation, setup: Setup, prepared: Prepared, provision: Provision, tracker: Tracker
) -> tuple[Setup, RunIsolation | None]:
    """`setup` in its container or its isolation, where there is one, and what the record says of that."""
    outside = _store_outside(tracker, prepared.top) if isolation != "none" or provision.contained else ()
    if provision.contained is None:
        beside = Neighbours(writable=outside, address=tracker.address)
        return isolate(isolation, setup, prepared, provision, beside)
    sealed, network = isolate_contained(isolation), prepared.settings.network
    section = RunIsolation(level="docker", network=network) if sealed else None
    return in_container(setup, provision, outside, network=network or not sealed, sealed=sealed), section


def _store_outside(tracker: Tracker, top: Path) -> tuple[Path, ...]:
    """The folder of a local MLflow store outside the project, which a container has to be shown."""
    path = tracker.address.path if tracker.address is not None else None
    if path is None or path.is_relative_to(top):
        return ()
    folder = path.parent if tracker.address is not None and tracker.address.kind == "sqlite" else path
    folder.mkdir(parents=True, exist_ok=True)
    return (folder,)


def _provide(options: RunOptions, prepared: Prepared, emit: Emit) -> Provision:
    """The environment: what MLproject names wins; a plain command takes the active one, if any."""
    if options.env_manager == "docker" or (
        options.env_manager is None
        and prepared.mlproject is not None
        and prepared.mlproject.docker_env is not None
    ):
        return _provide_image(options, prepared, emit)
    active = bool(os.environ.get("VIRTUAL_ENV") or os.environ.get("CONDA_PREFIX"))
    project = prepared.mlproject
    named = project is not None and (project.python_env is not None or project.conda_env is not None)
    if options.env_manager == "local" or (
        options.env_manager is None and active and bool(options.command) and not named
    ):
        wanted = Wanted(source=None)
    else:
        wanted = _wanted(prepared, emit)
    if options.as_of is not None and wanted.source is not None:
        wanted = msgspec.structs.replace(
            wanted, source=msgspec.structs.replace(wanted.source, as_of=options.as_of)
        )
    return provide(wanted, prepared.folder, prepared.store, offline=options.offline, emit=emit)


def _provide_image(options: RunOptions, prepared: Prepared, emit: Emit) -> Provision:
    """The image that MLproject names, or one made for the project."""
    naming = Naming(top=str(prepared.top), home=str(Path.home()))
    project = prepared.mlproject
    if project is not None and project.docker_env is not None:
        asked = asked_by(project.docker_env, project.file)
        return provide_image(asked, prepared.folder, naming, offline=options.offline, emit=emit)
    source = None
    if not (prepared.folder / "Dockerfile").is_file():
        source = _wanted(prepared, emit).source
    base = prepared.settings.environment.base_image
    provision, text = build_image(prepared.folder, source, base, naming, emit)
    section = keep_dockerfile(provision.section, text, prepared.store)
    return msgspec.structs.replace(provision, section=section)


def _wanted(prepared: Prepared, emit: Emit) -> Wanted:
    return wanted_by(prepared.folder, prepared.mlproject, prepared.settings.environment, emit)


def wanted_by(folder: Path, mlproject: MLProject | None, settings: EnvironmentSettings, emit: Emit) -> Wanted:
    """What the files of a project ask for, in the terms of the environment layer.

    Raises:
        ProjectError: A file is missing or wrong.
        EnvironmentBuildError: They ask for a container image.
    """
    found = find_environment(folder, mlproject)
    for note in found.notes:
        emit(Event(kind="note", subject="environment", message=note))
    if found.kind == "docker_env":
        raise EnvironmentBuildError(
            f"`{found.source}` asks for a Docker image, and names no packages",
            hint="run it without `--env-manager uv`",
        )
    python = settings.python or found.python
    if found.lock_kind is None and found.kind == "none" and python is None:
        return Wanted(source=None)
    source = LockSource(
        kind=found.lock_kind or "requirements",
        folder=folder,
        file=_file_of(found) or "MLproject",
        lines=found.lines if found.lock_kind is not None else ("# no packages",),
        build_lines=found.build_lines,
        groups=settings.groups,
        extras=settings.extras,
    )
    return Wanted(source=source, python=python, others=found.others)


def _file_of(found: EnvironmentSource) -> str | None:
    """The file that the packages stand in: the only one that another file names, or that file itself."""
    only = found.lines[0] if len(found.lines) == 1 else ""
    name = only.removeprefix("-r ").strip()
    named = only.startswith("-r ") and (found.lock_kind or "").startswith("requirements")
    return name if named else found.source


def draft_of(prepared: Prepared, provision: Provision) -> Record:
    """The record as far as it is known before the start."""
    machine, omissions = hardware.capture()
    return Record(
        tool=Tool(version=version("reproof")),
        state="unfinished",
        created=now(),
        nonce=secrets.token_hex(16),
        project=prepared.project,
        code=prepared.code_section,
        environment=msgspec.structs.replace(provision.section, umask=variables.umask()),
        hardware=machine,
        randomness=RandomnessSection(
            seed=prepared.seed,
            seed_source=prepared.seed_source,
            profile=prepared.profile,
            entropy=prepared.entropy,
        ),
        omissions=(
            *prepared.omissions,
            *omissions,
            *(Omission(subject="environment", reason=f"not locked: {line}") for line in provision.conditions),
        ),
    )


def _setup(
    options: RunOptions, prepared: Prepared, provision: Provision, tracker: Tracker, scratch: Path
) -> Setup:
    naming = Naming(
        top=str(prepared.top),
        home=str(Path.home()),
        environment=str(provision.environment.folder),
        scratch=str(scratch),
    )
    env = environment_of(os.environ, provision.variables(path_outside(os.environ)))
    return Setup(
        recipe=Recipe(argv=prepared.argv, env=env, cwd=str(prepared.folder)),
        naming=naming,
        scratch=scratch,
        store=prepared.store,
        runner=ProcessRunner(),
        attention=Attention(echo=options.echo, terminal=options.terminal, timeout=options.timeout),
        origins=prepared.origins,
        seed=prepared.seed,
        profile=prepared.profile,
        entropy=prepared.entropy,
        tracking=tracker.variables(prepared),
        tracking_files=tracking_names(tracker.uri, naming),
        max_kept_bytes=prepared.settings.max_kept_bytes,
        declared_products=declared_products(prepared.settings, prepared.project.subdirectory),
        environment=provision.prefixes,
    )


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A private folder for observations and copies, removed afterwards whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="reproof-run-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def now() -> str:
    """The time, ISO 8601 in UTC, to the millisecond: what happens within one second keeps its order."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
