"""`run` of a pipeline: stages in order, unchanged ones skipped, each with a record, all under one."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import msgspec

from reproof.attest.claims import TrackedRuns
from reproof.base.digesting import digest_files
from reproof.errors import ProjectError, ReproofError
from reproof.execute.protocol import Stopper
from reproof.model.event import Emit, Event, silent
from reproof.model.pipeline import Stage
from reproof.model.record import Byproducts, Record
from reproof.model.stages import PipelineSection, StageLink
from reproof.model.table import ENDINGS
from reproof.project.dvc_graph import chosen, read_pipeline
from reproof.store.digest_cache import cached_where_it_pays
from reproof.store.records import RecordStore
from reproof.tracking.address import parse
from reproof.workflow.begin import RunOptions, begin, now, scratch_folder
from reproof.workflow.observe import Evidence
from reproof.workflow.pipeline.contents import Measuring, Reading, check_inputs, missing_out
from reproof.workflow.pipeline.one_stage import Done, Keeper, Work, run_stage, stage_draft
from reproof.workflow.pipeline.recorded import RecordedPipeline, given_to, made_by
from reproof.workflow.pipeline.skip import LastRecords, Now, environment_key, why_run
from reproof.workflow.pipeline.undeclared import describe_undeclared
from reproof.workflow.prepare import Prepared, prepare
from reproof.workflow.tables import with_tables
from reproof.workflow.tracked import Tracked, Tracker, nested_run
from reproof.workflow.trail import Trail, open_trail
from reproof.workflow.trust import note_own


class PipelineOptions(RunOptions, frozen=True, kw_only=True):
    """What running a pipeline may be told besides.

    Attributes:
        targets: Stages (or files that they make) to be brought up to date; all for none.
        jobs: Stages that may run at once.
        force: Run every stage, whatever is unchanged.
    """

    targets: tuple[str, ...] = ()
    jobs: int = 1
    force: bool = False


def run_pipeline(options: PipelineOptions, emit: Emit = silent) -> RecordedPipeline:
    """Bring the stages of a project's dvc.yaml up to date, and record it.

    Raises:
        ProjectError, UsageError: It cannot be run as it is.
        EnvironmentBuildError: Its environment cannot be made.
        ExecutionError: A command could not be started.
        StoreError: A record, or what DVC is to keep, cannot be written.
        KeyboardInterrupt: Ctrl-C; the records say so.
    """
    command = ("dvc", "repro", *(["--force"] if options.force else []), *options.targets)
    name = options.run_name or "pipeline"
    wishes = msgspec.structs.replace(options, command=command, entry_point=None, run_name=name)
    prepared = prepare(wishes, emit)
    pipeline = read_pipeline(prepared.top, prepared.project.subdirectory)
    if not pipeline.stages:
        raise ProjectError(f"there is no dvc.yaml with a stage in `{prepared.folder}`")
    stages = chosen(pipeline, options.targets)
    measuring = Measuring(prepared.top, prepared.project.subdirectory)
    check_inputs(pipeline, stages, measuring)
    with scratch_folder() as scratch, cached_where_it_pays(prepared.own) as cached:
        begun = begin(options, prepared, scratch, emit)
        draft = msgspec.structs.replace(begun.draft, pipeline=PipelineSection(files=pipeline.files))
        records = RecordStore(prepared.own)
        trail = open_trail(prepared.top, prepared.own, emit)
        records.begin(draft)
        trail.start(draft, emit)
        beside = options.jobs > 1 and len(stages) > 1
        attention = begun.setup.attention
        if beside:
            attention = msgspec.structs.replace(attention, terminal=False, stopper=Stopper())
        work = Work(
            top=prepared.top,
            pipeline=pipeline,
            setup=msgspec.structs.replace(
                begun.setup, digesting=digest_files if beside else cached, attention=attention
            ),
            draft=begun.draft,
            environment=environment_key(begun.provision.section),
            measuring=measuring,
            record_env=prepared.settings.record_env,
            beside=beside,
        )
        run = _Run(work, options, prepared, trail, emit)
        run.to_the_end(stages, scratch)
    return run.finish(draft, begun.tracker, stages)


class _Run:
    """One run of a pipeline; decisions are made in the main thread, stages carried out by others."""

    def __init__(
        self, work: Work, options: PipelineOptions, prepared: Prepared, trail: Trail, emit: Emit
    ) -> None:
        self.work = work
        self.options = options
        self.prepared = prepared
        self.records = RecordStore(prepared.own)
        self.trail = trail
        self.last = LastRecords(self.records, work.pipeline.root)
        self.keeper = Keeper(work.top, work.pipeline.root)
        self.links: dict[str, StageLink] = {}
        self.done: dict[str, Record] = {}
        self.evidence: dict[str, Evidence] = {}
        self.status = 0
        self.interrupted = False
        self.problem: ReproofError | None = None
        self.begun = time.monotonic()
        self._lock = threading.Lock()
        self._entering = threading.Lock()
        self._emit = emit

    def emit(self, event: Event) -> None:
        """Tell, one thread at a time."""
        with self._lock:
            self._emit(event)

    @property
    def failed(self) -> bool:
        """Whether nothing more is to be started."""
        return self.status != 0 or self.problem is not None or self.interrupted

    def to_the_end(self, stages: tuple[Stage, ...], scratch: Path) -> None:
        """Run what has to run; after a failure nothing more is started."""
        if not self.work.beside:
            for stage in stages:
                if self.failed:
                    break
                reason = self._decide(stage)
                if reason is not None:
                    self._carry_out(stage, scratch / f"{len(self.links)}", reason)
            return
        self._beside(list(stages), scratch)

    def _beside(self, waiting: list[Stage], scratch: Path) -> None:
        running: dict[Future[None], str] = {}
        with ThreadPoolExecutor(self.options.jobs) as pool, self._stopping():
            while waiting or running:
                for stage in self._ready(waiting, running):
                    waiting.remove(stage)
                    reason = self._decide(stage)
                    if reason is not None:
                        folder = scratch / f"{len(waiting)}-beside"
                        running[pool.submit(self._carry_out, stage, folder, reason)] = stage.address
                if not running and (self.failed or not waiting):
                    return
                for task in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                    del running[task]
                    task.result()

    def _ready(self, waiting: list[Stage], running: dict[Future[None], str]) -> list[Stage]:
        """The next stage that waits for nothing, while there is room for one."""
        if self.failed or len(running) >= self.options.jobs:
            return []
        busy = set(running.values()) | {stage.address for stage in waiting}
        free = (
            stage
            for stage in waiting
            if not any(parent.address in busy for parent in self.work.pipeline.parents(stage))
        )
        return list(itertools.islice(free, 1))

    @contextmanager
    def _stopping(self) -> Iterator[None]:
        """Pass signals on to the stages that other threads attend to."""
        stopper = self.work.setup.attention.stopper

        def stop(number: int, frame: object) -> None:  # noqa: ARG001  # the signature is signal's
            self.interrupted = True
            if stopper is not None:
                stopper.stop(number)

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, stop) for number in numbers}
        try:
            yield
        finally:
            for number, old in before.items():
                signal.signal(number, signal.SIG_DFL if old is None else old)

    def _decide(self, stage: Stage) -> str | None:
        """Why a stage runs; None where it does not, which is then noted."""
        parents = tuple(each.address for each in self.work.pipeline.parents(stage))
        if stage.frozen:
            self._require_outs(stage)
            self.links[stage.address] = StageLink(address=stage.address, state="frozen", parents=parents)
            return None
        if self.options.force:
            return "it was asked for"
        found = self.last.find(stage.address)
        reason = why_run(self._now(stage), found.record if found is not None else None)
        if reason is None and found is not None:
            assert found.record.stage is not None
            self.keeper.write_lock(stage, found.record.stage)
            self.links[stage.address] = StageLink(
                address=stage.address, state="unchanged", record=found.id, parents=parents
            )
            self.done[stage.address] = found.record
            self.emit(
                Event(kind="note", subject=stage.address, message=f"stage `{stage.address}`: unchanged")
            )
        return reason

    def _now(self, stage: Stage) -> Now:
        fixed = self.prepared.seed_source in ("option", "settings")
        return Now(
            stage=stage,
            environment=self.work.environment,
            seed=self.prepared.seed if fixed else None,
            measuring=self.work.measuring,
            reading=Reading(self.work.setup.digesting, self.work.seen),
            naming=self.work.setup.naming,
        )

    def _require_outs(self, stage: Stage) -> None:
        for out in stage.outs:
            if not (self.work.top / out.place).exists():
                error = missing_out(stage, out)
                raise ProjectError(
                    error.message.replace(
                        "the stage ended well, but did not make", "the stage is frozen, and there is no"
                    ),
                    details=error.details,
                    hint="run `dvc pull`, or thaw the stage with `dvc unfreeze`",
                )

    def _carry_out(self, stage: Stage, scratch: Path, reason: str) -> None:
        """Run a stage, and keep what came of it; in a thread where several run at once."""
        self.emit(Event(kind="note", subject=stage.address, message=f"stage `{stage.address}`: {reason}"))
        scratch.mkdir()
        draft = stage_draft(self.work, stage)
        with self._entering:
            self.trail.start(draft, self.emit)
        work = msgspec.structs.replace(self.work, draft=draft)
        done = self._with_tables(run_stage(work, stage, scratch, self.emit))
        if done.ok:
            self.keeper.keep_outs(stage, done)
        identity = self.records.write(done.record)
        note_own(identity)
        with self._entering:
            self.trail.finish(identity, done.record, _in_mlflow(done.evidence), self.emit)
        if done.ok:
            self.last.keep(stage.address, identity)
        self._note(stage, done, identity, reason)

    def _with_tables(self, done: Done) -> Done:
        """What a stage did, its materials that are tables with the digest of what they hold."""
        tables = (each.name for each in done.record.materials if Path(each.name).suffix.lower() in ENDINGS)
        self.work.seen.update(str(self.work.top / name) for name in tables)  # other stages may be watched
        record = with_tables(done.record, self.work.setup.naming, self.prepared.own, self.emit)
        return msgspec.structs.replace(done, record=record)

    def _note(self, stage: Stage, done: Done, identity: str, reason: str) -> None:
        parents = tuple(each.address for each in self.work.pipeline.parents(stage))
        with self._lock:
            self.links[stage.address] = StageLink(
                address=stage.address,
                state="ran" if done.ok else "failed",
                record=identity,
                parents=parents,
                reason=reason if done.ok else f"exit status {done.record.byproducts.exit_status}",
            )
            self.done[stage.address] = done.record
            self.evidence[stage.address] = done.evidence
            if not done.ok and not self.status:
                self.status = done.record.byproducts.exit_status or (125 if done.problem is not None else 1)
            self.problem = self.problem or done.problem
            self.interrupted = self.interrupted or done.evidence.interrupted

    def finish(self, draft: Record, tracker: Tracker, stages: tuple[Stage, ...]) -> RecordedPipeline:
        """Write the parent record, which names those of the stages, to the log, and everything to MLflow."""
        self._settle_byte_code()
        record = self._parent(draft, stages)
        identity = self.records.write(record)
        note_own(identity)
        tracked = self._track(identity, record, tracker)
        runs = (tracked.run_id,) if tracked.run_id else ()
        self.trail.finish(identity, record, TrackedRuns(uri=tracked.uri, runs=runs), self.emit)
        if self.interrupted:
            raise KeyboardInterrupt
        return RecordedPipeline(
            id=identity,
            record=record,
            stages=self.done,
            folder=self.prepared.own,
            tracked=tracked,
            notes=tuple(self._notes()),
            problem=self.problem,
        )

    def _track(self, identity: str, record: Record, tracker: Tracker) -> Tracked:
        """Write the run of the pipeline to MLflow, and put those of its stages below it."""
        opened = {address: each.logged.primary for address, each in self.evidence.items()}
        first = next((each for each in opened.values() if each is not None and each.uri), None)
        if first is not None and tracker.address is None:
            tracker = msgspec.structs.replace(tracker, address=parse(first.uri, self.prepared.folder))
        nested = []
        for link in self.links.values():
            line = opened.get(link.address)
            if link.record is None or link.address not in opened:
                continue
            if line is not None and line.uri not in ("", tracker.uri):
                continue  # its code chose another store
            nested.append(nested_run(link.record, self.done[link.address], line.run if line else None))
        tracked = tracker.finish(identity, record, None, self.emit, nested=tuple(nested))
        self.records.write_tracking(identity, tracked.facts())
        for each in nested:
            run_id = tracked.nested.get(each.key, each.run_id)
            if run_id is not None:
                facts = {"status": "written", "uri": tracker.uri, "run_id": run_id}
                self.records.write_tracking(each.key, facts)
        return tracked

    def _settle_byte_code(self) -> None:
        """Name folders in dvc.lock as they are now, where later stages left only byte code there."""
        reading = Reading(self.work.setup.digesting)
        for stage in self.work.pipeline.stages:
            record = self.done.get(stage.address)
            link = self.links.get(stage.address)
            if record is None or record.stage is None or link is None or link.state == "failed":
                continue
            found = {dep.place: self.work.measuring.named(dep, reading) for dep in stage.deps}
            deps = tuple(
                other
                if (other := found.get(each.place)) is not None and other.identity == each.identity
                else each
                for each in record.stage.deps
            )
            if deps != record.stage.deps:
                self.keeper.write_lock(stage, msgspec.structs.replace(record.stage, deps=deps))

    def _parent(self, draft: Record, stages: tuple[Stage, ...]) -> Record:
        links = tuple(self.links.get(stage.address) or self._not_run(stage) for stage in stages)
        records = [self.done[link.address] for link in links if link.address in self.done]
        state = "interrupted" if self.interrupted else "failed" if self.failed else "finished"
        ran = [self.done[link.address] for link in links if link.state in ("ran", "failed")]
        return msgspec.structs.replace(
            draft,
            created=now(),  # after its stages: it is the last record, and the one that `last` means
            state=state,
            environment=msgspec.structs.replace(
                draft.environment,
                variables=records[0].environment.variables if records else {},
                variable_names=records[0].environment.variable_names if records else (),
            ),
            materials=given_to(records),
            products=made_by(records),
            byproducts=Byproducts(
                exit_status=self.status,
                started=draft.created,
                seconds=round(time.monotonic() - self.begun, 3),
                cpu_seconds=round(sum(each.byproducts.cpu_seconds for each in ran), 3),
                peak_memory=max((each.byproducts.peak_memory for each in ran), default=0),
            ),
            pipeline=PipelineSection(files=self.work.pipeline.files, stages=links),
        )

    def _not_run(self, stage: Stage) -> StageLink:
        parents = tuple(each.address for each in self.work.pipeline.parents(stage))
        return StageLink(address=stage.address, state="not run", parents=parents)

    def _notes(self) -> Iterator[str]:
        for address, record in self.done.items():
            for each in record.stage.undeclared if record.stage is not None else ():
                yield describe_undeclared(address, each)
        if self.status:
            failed = next((link.address for link in self.links.values() if link.state == "failed"), "")
            left = [stage.address for stage in self.work.pipeline.stages if stage.address not in self.links]
            rest = f"; not run: {', '.join(f'`{name}`' for name in left)}" if left else ""
            yield f"stage `{failed}` failed{rest}; the results of earlier stages are kept"


def _in_mlflow(evidence: Evidence) -> TrackedRuns:
    """Where the runs of a stage's code are in MLflow, for the log."""
    logged = evidence.logged
    if logged.primary is None:
        return TrackedRuns()
    return TrackedRuns(uri=logged.primary.uri, runs=logged.ids, models=logged.models)
