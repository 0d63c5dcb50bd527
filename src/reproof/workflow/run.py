"""`run`: carry out a project's command where it is, and record everything about it."""

from __future__ import annotations

import datetime as dt
import os
import secrets
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path, PurePosixPath

import msgspec

from reproof.attest.claims import TrackedRuns
from reproof.base.naming import Naming
from reproof.base.programs import pasteable
from reproof.capture import hardware, variables
from reproof.environment.values import LockSource
from reproof.errors import EnvironmentBuildError, StoreError
from reproof.execute.process import ProcessRunner
from reproof.execute.profiles import variables as profile_variables
from reproof.model.event import Emit, Event, silent
from reproof.model.recipe import Recipe
from reproof.model.record import Omission, RandomnessSection, Record, Tool
from reproof.project.environment_files import EnvironmentSource, find_environment
from reproof.store.digest_cache import cached_where_it_pays
from reproof.store.records import RecordStore
from reproof.workflow.enclosures import Enclosures, enclose
from reproof.workflow.materials import CHANGED
from reproof.workflow.observe import Attention, Evidence, Setup, observe, tracking_names
from reproof.workflow.prepare import Prepared, Wishes, declared_products, environment_of, prepare
from reproof.workflow.provision import Provision, Wanted, path_outside, provide
from reproof.workflow.tracked import Tracked, Tracker, open_tracker
from reproof.workflow.trail import open_trail


class RunOptions(Wishes, frozen=True, kw_only=True):
    """What `run` may be told, besides what is to be run.

    Attributes:
        env_manager: ``uv``, ``local``, or None to decide by what the project has.
        tracking_uri: MLflow store; MLFLOW_TRACKING_URI or MLflow's default when None.
        log: Write to MLflow.
        offline: Make the environment from the package cache alone.
        timeout: Seconds after which the command is ended.
        echo: Pass its output through.
        terminal: Our standard output is a terminal.
    """

    env_manager: str | None = None
    tracking_uri: str | None = None
    log: bool = True
    offline: bool = False
    timeout: float | None = None
    echo: bool = False
    terminal: bool = False


class RecordedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was recorded.

    Attributes:
        id: Id of the record.
        record: The record.
        folder: The `.reproof` folder that holds it.
        tracked: What came of writing it to MLflow.
        notes: Lines worth telling at the end.
    """

    id: str
    record: Record
    folder: Path
    tracked: Tracked
    notes: tuple[str, ...] = ()

    @property
    def exit_status(self) -> int:
        """Exit status of the command."""
        return self.record.byproducts.exit_status or 0

    @property
    def run_id(self) -> str | None:
        """The MLflow run, where there is one."""
        return self.tracked.run_id

    def summary(self) -> list[str]:
        """What a user wants to know at the end, a line each."""
        record = self.record
        counted = f"{len(record.metrics)} metric values, {len(record.products)} products, {len(record.materials)} materials"
        lines = [
            f"recorded {self.id[:12]}: exit status {self.exit_status}, {record.byproducts.seconds:.1f} s; {counted}"
        ]
        lines.append(_say_seed(record))
        lines.append(self.tracked.summary())
        lines.extend(self.notes)
        return [line for line in lines if line]


def run(options: RunOptions, emit: Emit = silent) -> RecordedRun:
    """Run a project (or a command) in its folder and record it.

    Raises:
        ProjectError, UsageError: It cannot be run as it is.
        EnvironmentBuildError: Its environment cannot be made.
        ExecutionError: Its command could not be started.
        StoreError: The record cannot be written.
        KeyboardInterrupt: Ctrl-C; the record says so.
    """
    prepared = prepare(options, emit)
    tracker = open_tracker(prepared, options.tracking_uri, enabled=options.log)
    provision = _provide(options, prepared, emit)
    packages = {item.name for item in provision.section.distributions}
    tracker = tracker.with_installation(
        provision.environment.python, has_mlflow=bool(packages & {"mlflow", "mlflow-skinny"})
    )
    records = RecordStore(prepared.own)
    draft = _draft(prepared, provision)
    trail = open_trail(prepared.top, prepared.own, emit)
    records.begin(draft)
    trail.start(draft, emit)
    with _scratch() as scratch, cached_where_it_pays(prepared.own) as digesting:
        setup = _setup(options, prepared, provision, tracker, scratch)
        added = profile_variables(prepared.profile, setup.recipe.env, gpu=bool(draft.hardware.gpus))
        setup = msgspec.structs.replace(setup, digesting=digesting, profile_variables=added)
        evidence = observe(setup, emit)
    record = complete(draft, evidence, prepared.settings.pass_env)
    identity, trouble = _write(records, record)
    shared = tracker.is_shared(evidence.logged.primary)
    enclosed = (
        enclose(record, prepared.store, prepared.top, prepared.settings.max_uploaded_bytes)
        if shared
        else Enclosures()
    )
    tracked = tracker.finish(identity, record, evidence.logged.primary, emit, enclosed.artifacts)
    trail.finish(identity, record, _in_mlflow(tracked, evidence), emit)
    if trouble is not None:
        raise trouble
    records.write_tracking(identity, tracked.facts())
    if evidence.interrupted:
        raise KeyboardInterrupt
    return RecordedRun(
        id=identity,
        record=record,
        folder=prepared.own,
        tracked=tracked,
        notes=(
            *_problem(evidence),
            *_moved(record),
            *_advice(record, prepared),
            *_only_here(enclosed),
            *_elsewhere(prepared, identity),
        ),
    )


def _in_mlflow(tracked: Tracked, evidence: Evidence) -> TrackedRuns:
    """Where the run is in MLflow, for the log."""
    runs = evidence.logged.ids or ((tracked.run_id,) if tracked.run_id else ())
    return TrackedRuns(uri=tracked.uri, runs=runs, models=evidence.logged.models)


def _write(records: RecordStore, record: Record) -> tuple[str, StoreError | None]:
    """Write the record of a run that is over; where that fails, aside: the run may have taken days.

    Returns:
        The record's id, and the error to be raised once everything else is done.
    """
    try:
        return records.write(record), None
    except StoreError as error:
        try:
            aside = RecordStore(Path(tempfile.mkdtemp(prefix="reproof-kept-")))
            identity = aside.write(record)
        except (OSError, StoreError):
            raise error from None
        kept, place = aside.folder / "records" / f"{identity}.json", records.folder / "records"
        return identity, StoreError(
            error.message,
            details=[*error.details, ("kept at", str(kept))],
            hint=f"make room, then run `mkdir -p {shlex.quote(str(place))} && mv {kept} {shlex.quote(str(place))}/`",
        )


def _provide(options: RunOptions, prepared: Prepared, emit: Emit) -> Provision:
    """The environment: what MLproject names wins; a plain command takes the active one, if any."""
    active = bool(os.environ.get("VIRTUAL_ENV") or os.environ.get("CONDA_PREFIX"))
    project = prepared.mlproject
    named = project is not None and (project.python_env is not None or project.conda_env is not None)
    if options.env_manager == "local" or (
        options.env_manager is None and active and bool(options.command) and not named
    ):
        wanted = Wanted(source=None)
    else:
        wanted = _wanted(prepared, emit)
    return provide(wanted, prepared.folder, prepared.store, offline=options.offline, emit=emit)


def _wanted(prepared: Prepared, emit: Emit) -> Wanted:
    """What the project's files ask for, in the terms of the environment layer."""
    found = find_environment(prepared.folder, prepared.mlproject)
    for note in found.notes:
        emit(Event(kind="note", subject="environment", message=note))
    if found.kind == "docker_env":
        raise EnvironmentBuildError(
            f"`{found.source}` asks for a Docker image, which this version cannot run",
            hint="name a `python_env`, or pass `--env-manager local`",
        )
    settings = prepared.settings.environment
    python = settings.python or found.python
    if found.lock_kind is None and found.kind == "none" and python is None:
        return Wanted(source=None)
    source = LockSource(
        kind=found.lock_kind or "requirements",
        folder=prepared.folder,
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


def _draft(prepared: Prepared, provision: Provision) -> Record:
    """The record as far as it is known before the start."""
    machine, omissions = hardware.capture()
    return Record(
        tool=Tool(version=version("reproof")),
        state="unfinished",
        created=now(),
        nonce=secrets.token_hex(16),
        project=prepared.project,
        code=prepared.code_section,
        environment=provision.section,
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


def complete(draft: Record, evidence: Evidence, variables_too: tuple[str, ...] = ()) -> Record:
    """The record of a run that has ended: what was known before, and what was seen.

    The values of `variables_too` are recorded besides those that always are, unless they look like secrets.
    """
    values, names = variables.capture(evidence.variables, variables_too)
    failed = evidence.execution.status != 0
    state = "interrupted" if evidence.interrupted else "failed" if failed else "finished"
    randomness = msgspec.structs.replace(evidence.randomness, seed_source=draft.randomness.seed_source)
    return msgspec.structs.replace(
        draft,
        state=state,
        environment=msgspec.structs.replace(
            draft.environment, native=evidence.native, variables=values, variable_names=names
        ),
        randomness=randomness,
        materials=evidence.materials,
        products=evidence.products,
        runs=evidence.logged.runs,
        parameters=evidence.logged.parameters,
        metrics=evidence.logged.metrics,
        byproducts=evidence.byproducts,
        omissions=(*draft.omissions, *evidence.omissions),
    )


@contextmanager
def _scratch() -> Iterator[Path]:
    """A private folder for observations and copies, removed afterwards whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="reproof-run-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def now() -> str:
    """The time, ISO 8601 in UTC, to the millisecond: what happens within one second keeps its order."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _say_seed(record: Record) -> str:
    chance = record.randomness
    seeded = f"seed {chance.seed} ({chance.seed_source})" if chance.seed is not None else "no seed applied"
    line = f"randomness: {seeded}, {len(chance.seeded)} seeded by the code"
    if chance.unseeded:
        first = chance.unseeded[0]
        line += f", {len(chance.unseeded)} unseeded: {first.what} at {first.where}"
    return line


def _problem(evidence: Evidence) -> Iterator[str]:
    if evidence.execution.problem is not None:
        yield f"the command could not be started: {evidence.execution.problem}"
    if evidence.execution.timed_out:
        yield "the command was ended because its time was up"


def _moved(record: Record) -> Iterator[str]:
    """Inputs whose content changed under the run: what came out may belong to neither."""
    for omission in record.omissions:
        if omission.reason.startswith(CHANGED):
            yield f"`{omission.subject}`: {omission.reason}"


def _only_here(enclosed: Enclosures) -> Iterator[str]:
    """What another machine will miss when it verifies this run."""
    if enclosed.left_out:
        some = ", ".join(f"`{name}` ({reason})" for name, reason in enclosed.left_out[:3])
        more = f" and {len(enclosed.left_out) - 3} more" if len(enclosed.left_out) > 3 else ""
        yield f"not in MLflow, so only this machine can re-create the run: {some}{more}"


def _elsewhere(prepared: Prepared, identity: str) -> Iterator[str]:
    """How to name a record that is not kept in the repository of the current folder."""
    here = Path.cwd().resolve()
    if prepared.top.resolve() not in (here, *here.parents):
        place = prepared.own / "records" / f"{identity}.json"
        yield f"the record is kept elsewhere; run `reproof verify {shlex.quote(str(place))}`"


def _advice(record: Record, prepared: Prepared) -> Iterator[str]:
    """One line for each outermost file or folder of data that no version names."""
    loose = [each for each in record.materials if each.origin == "external" and not each.is_web]
    loose = [each for each in loose if each.digest is None or each.digest not in prepared.store]
    loose = [each for each in loose if not each.name.startswith(("/", "$"))]
    committed = prepared.code.committed if loose else ()
    mixed = {str(parent) for name in committed for parent in PurePosixPath(name).parents}
    found: dict[str, list[int]] = {}
    for artifact in loose:
        found.setdefault(_outermost(artifact.name, mixed), []).append(artifact.size)
    for name, sizes in found.items():
        files = f"{len(sizes):,} files" if len(sizes) > 1 else "1 file"
        verb = "dvc add" if (prepared.top / ".dvc").is_dir() else "reproof keep"
        command = f"{verb} {shlex.quote(name)}"
        yield (
            f"`{name}` ({files}, {sum(sizes):,} bytes) is in neither Git nor DVC: it can be verified only "
            f"while it stays there unchanged; run `{pasteable(command, prepared.top)}`"
        )


def _outermost(name: str, mixed: set[str]) -> str:
    """The file or the outermost folder around it that holds no committed file: DVC takes none of those."""
    folders = [str(parent) for parent in PurePosixPath(name).parents]
    return next((folder for folder in reversed(folders) if folder not in {*mixed, "."}), name)
