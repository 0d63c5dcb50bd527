"""`run`: carry out a project's command where it is, and record everything about it."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import msgspec

from reproof.attest.claims import TrackedRuns
from reproof.base.programs import pasteable
from reproof.capture import variables
from reproof.errors import StoreError
from reproof.model.event import Emit, silent
from reproof.model.record import Record
from reproof.report.chance import summary as say_randomness
from reproof.report.numbers import count_text
from reproof.store.digest_cache import cached_where_it_pays
from reproof.store.records import RecordStore
from reproof.workflow.begin import RunOptions, begin, now, scratch_folder
from reproof.workflow.concealed import sweep
from reproof.workflow.enclosures import Enclosures, enclose
from reproof.workflow.forbidden import require_none_forbidden
from reproof.workflow.isolated import isolated
from reproof.workflow.materials import CHANGED
from reproof.workflow.observe import Evidence, observe
from reproof.workflow.package_metadata import keep_metadata
from reproof.workflow.prepare import Prepared, prepare
from reproof.workflow.tables import with_tables
from reproof.workflow.tracked import Tracked
from reproof.workflow.trail import open_trail
from reproof.workflow.trust import note_own

__all__ = ["RecordedRun", "RunOptions", "complete", "now", "run"]


_OP_DETERMINISM = "tensorflow.config.experimental.enable_op_determinism"


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
        counts = (
            (len(record.metrics), "metric value"),
            (len(record.products), "product"),
            (len(record.materials), "material"),
        )
        counted = ", ".join(count_text(*each) for each in counts)
        lines = [
            f"recorded {self.id[:12]}: exit status {self.exit_status}, {record.byproducts.seconds:.1f} s; {counted}"
        ]
        lines.append(say_randomness(record.randomness))
        lines.append(self.tracked.summary())
        lines.extend(self.notes)
        return [line for line in lines if line]


def run(options: RunOptions, emit: Emit = silent) -> RecordedRun:
    """Run a project (or a command) in its folder and record it.

    Raises:
        ProjectError, UsageError: It cannot be run as it is.
        EnvironmentBuildError: Its environment cannot be made.
        ExecutionError: Its command could not be started, or drew entropy though that is forbidden.
        StoreError: The record cannot be written.
        KeyboardInterrupt: Ctrl-C; the record says so.
    """
    prepared = prepare(options, emit)
    records = RecordStore(prepared.own)
    with scratch_folder() as scratch, cached_where_it_pays(prepared.own) as digesting:
        begun = begin(options, prepared, scratch, emit)
        draft, tracker = begun.draft, begun.tracker
        trail = open_trail(prepared.top, prepared.own, emit)
        records.begin(draft)
        trail.start(draft, emit)
        evidence = observe(isolated(msgspec.structs.replace(begun.setup, digesting=digesting)), emit)
    record = complete(draft, evidence, prepared.settings.record_env)
    record = with_tables(record, begun.setup.naming, prepared.own, emit)
    record = keep_metadata(record, begun.setup.naming, prepared.store)
    record = sweep(record, options.parameters)
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
    require_none_forbidden(record, identity)
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
        identity = records.write(record)
    except StoreError as error:
        try:
            aside = RecordStore(Path(tempfile.mkdtemp(prefix="reproof-kept-")))
            identity = aside.write(record)
            note_own(identity)
        except (OSError, StoreError):
            raise error from None
        kept, place = aside.folder / "records" / f"{identity}.json", records.folder / "records"
        return identity, StoreError(
            error.message,
            details=[*error.details, ("kept at", str(kept))],
            hint=f"make room, then run `mkdir -p {shlex.quote(str(place))} && mv {kept} {shlex.quote(str(place))}/`",
        )
    note_own(identity)
    return identity, None


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
        tracked=evidence.tracked,
    )


def _problem(evidence: Evidence) -> Iterator[str]:
    strict = {("torch.use_deterministic_algorithms", "error"), (_OP_DETERMINISM, "True")}
    asked = {(each.what, each.asked) for each in evidence.randomness.readings if not each.where}
    if evidence.execution.status not in (0, None) and strict & asked:
        yield (
            f"the profile `{evidence.randomness.profile}` lets operations that cannot repeat raise an error; "
            "if that is why the command failed, pass `--determinism off`"
        )
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
