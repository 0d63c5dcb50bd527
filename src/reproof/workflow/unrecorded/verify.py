"""`verify` of a run that reproof did not record: a record is put together from MLflow and Git, and re-created.

What somebody else noted is put into the form of a record, so that the same room and the same comparison judge
it. Everything that had to be assumed is a condition of the verdict; what is missing is named, with what would
supply it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from reproof.base import git
from reproof.base.locations import data_directory, own_folder
from reproof.errors import EnvironmentBuildError, MissingError, ProjectError, UsageError
from reproof.model.codec import encode, record_id
from reproof.model.event import Emit, Event
from reproof.model.record import Byproducts, HardwareSection, Record
from reproof.model.verdict import Condition, NotChecked, Verdict
from reproof.project.settings import Settings, read_settings
from reproof.store.records import Found
from reproof.tracking.values import Access, Run
from reproof.workflow.begin import RunOptions, begin, draft_of, scratch_folder
from reproof.workflow.fetch import places_of
from reproof.workflow.lookup import Place
from reproof.workflow.packages import packages_of
from reproof.workflow.prepare import Prepared, prepare
from reproof.workflow.provision import Provision, Wanted, provide
from reproof.workflow.remote_runs import UnrecordedError
from reproof.workflow.rerunning import Aim, decide, rerun_all, with_chance
from reproof.workflow.room import Plan, Trust, clean_room
from reproof.workflow.supplies import Supplies
from reproof.workflow.unrecorded.call import Call, find_call
from reproof.workflow.unrecorded.case import Case, first_that_runs
from reproof.workflow.unrecorded.code import find_code
from reproof.workflow.unrecorded.inputs import (
    dated,
    hold_places,
    python_for,
    tracked_data,
    wanted_packages,
)
from reproof.workflow.unrecorded.reading import Reading
from reproof.workflow.unrecorded.results import Results, fetch_results, iso
from reproof.workflow.unrecorded.stated import held, stated_by
from reproof.workflow.verdict_log import send_verdict
from reproof.workflow.verdicts import make_policy
from reproof.workflow.verify_options import VerifyOptions

_OTHER_PACKAGES = "pass `--env PATH`, PATH being a lock or requirements file"

#: Conditions that compare with the machine and environment of the recorded run, of which nothing is known.
_OF_THE_RECORD = ("host", "CPU type", "GPUs", "materials", "seed")


def verify_unrecorded(error: UnrecordedError, options: VerifyOptions, emit: Emit) -> tuple[Verdict, Record]:
    """Re-create a run of MLflow from its commit, and compare what it logged.

    Args:
        error: Names the run and its store.
        options: What passes, and what the user supplies.
        emit: Told about the work.

    Returns:
        The verdict, and the record that was put together.

    Raises:
        MissingError: An ingredient is nowhere; the message says which, the hint what would supply it.
        EnvironmentBuildError: The environment cannot be made.
        TrackingError: The store cannot be read.
        ExecutionError: The isolation cannot be had.
    """
    _refuse(options)
    with scratch_folder() as scratch:
        case = _found_out(error.access, error.run, options, scratch, emit)
        found = _reconstruction(case, error)
        policy = make_policy(_settings(case).policy, options.accept, options.rtol, options.atol)
        reading = Reading(case.results, case.run, given=case.call.given, certain=case.call.certain)
        aim = Aim(
            found=found,
            policy=policy,
            repeat=options.repeat,
            measure=reading.measure,
            settle=reading.settle,
        )
        started = time.monotonic()
        with clean_room(_plan(case, found.record), keep=options.keep, emit=emit) as empty:
            seconds = {
                "recorded": found.record.byproducts.seconds,
                "room": round(time.monotonic() - started, 2),
            }
            room, first, supplied = first_that_runs(empty, aim, case, emit)
            done = with_chance(room, aim, rerun_all(room, aim, emit, first), emit, tried=False)
            for number, each in enumerate(done.reruns, 1):
                seconds[f"re-run {number}"] = each.record.byproducts.seconds
            verdict = decide(aim, room, done, seconds)
            verdict = _as_reconstruction(verdict, case, reading, supplied)
            if options.keep:
                verdict = msgspec.structs.replace(verdict, room=str(room.folder))
    if options.log:
        place = _place(case)
        to = (case.access.address.uri, case.run.run_id)
        send_verdict(verdict, found.record, to, place, None, emit)
    return verdict, found.record


def _refuse(options: VerifyOptions) -> None:
    """Options that need a record."""
    given = {"stage": options.stage, "allow-python": options.allow_python}
    for name, value in given.items():
        if value:
            raise UsageError(f"`--{name}` needs a record, and reproof did not record this run")


def _found_out(access: Access, run: Run, options: VerifyOptions, scratch: Path, emit: Emit) -> Case:
    """Gather every ingredient; the first that is missing is named."""
    code = find_code(run, options.code, scratch, emit)
    supplies = Supplies(options.data)
    stores = places_of(options.stores)
    data = tracked_data(code.aside, code.source, stores, emit, offline=options.offline)
    call = find_call(run, code.aside, options.entry_point, options.command)
    hold_places(code.aside, _named_places(call, code.aside))
    prepared = prepare(_wishes(call, code.aside, options), emit)
    results = fetch_results(access, run, prepared.store, prepared.settings.max_kept_bytes, emit)
    provision, lines = _environment(prepared, run, results, code.trust(given=options.trust), options, emit)
    return Case(
        access=access,
        run=run,
        code=code,
        call=call,
        results=results,
        data=data,
        prepared=prepared,
        provision=provision,
        supplies=supplies,
        options=options,
        assumed=(*code.assumed, *call.assumed, *lines, *data.assumed),
    )


def _named_places(call: Call, aside: Path) -> list[str]:
    """Files that parameters name and that the clone does not have: data that is brought later, or missing."""
    values = call.parameters.values() if call.entry_point is not None else ()
    return [value[len(str(aside)) + 1 :] for value in values if value.startswith(f"{aside}/")]


def _wishes(call: Call, aside: Path, options: VerifyOptions) -> RunOptions:
    return RunOptions(
        uri=str(aside / call.subdirectory),
        command=call.command,
        entry_point=call.entry_point,
        parameters=call.parameters,
        seed="none",
        determinism="off",
        entropy="record",
        offline=options.offline,
        log=False,
    )


def _environment(  # noqa: PLR0913, PLR0917  # everything that may say something of it
    prepared: Prepared, run: Run, results: Results, trust: Trust, options: VerifyOptions, emit: Emit
) -> tuple[Provision, list[Condition]]:
    """The environment: what ``--env`` or the commit says, as of the run's start."""
    as_of, settings = iso(run.started), prepared.settings.environment
    project = prepared.mlproject
    if options.env is None and project is not None and project.docker_env is not None:
        with scratch_folder() as folder:
            wishes = RunOptions(command=("true",), log=False, offline=options.offline)
            return begin(wishes, prepared, folder, emit).provision, []
    if options.env is not None:
        wanted, said = dated(packages_of(Path(options.env).absolute(), emit), as_of)
        lines = [Condition("assumed environment", f"that of `{options.env}`", "`--env`"), *said]
    else:
        try:
            wanted, said = wanted_packages(prepared.folder, project, settings, as_of, emit)
        except ProjectError as error:
            hint = error.hint or _OTHER_PACKAGES
            raise MissingError("environment", error.message, details=error.details, hint=hint) from error
        lines = list(said)
    if wanted.source is not None:
        source = msgspec.structs.replace(wanted.source, wheels_only=trust == "none")
        wanted = msgspec.structs.replace(wanted, source=source)
    emit(Event(kind="start", subject="environment", message="making the environment of the commit"))
    made, more = _made(wanted, prepared, results, options, emit)
    emit(Event(kind="finish", subject="environment"))
    return made, [*lines, *more]


def _made(
    wanted: Wanted, prepared: Prepared, results: Results, options: VerifyOptions, emit: Emit
) -> tuple[Provision, list[Condition]]:
    """The environment, with the versions that models of the run name where the commit leaves them open."""

    def make(wanted: Wanted) -> Provision:
        return provide(wanted, prepared.folder, prepared.store, offline=options.offline, emit=emit)

    if wanted.source is None:
        return make(wanted), []
    stated = stated_by(results.products, prepared.store)
    python, line = python_for(wanted.python, stated.python)
    plain = msgspec.structs.replace(wanted, python=python)
    if not stated.constraints:
        return make(plain), [line]
    tools = tuple(f"{name}=={version}" for name, version in stated.tools.items())
    source = msgspec.structs.replace(wanted.source, constraints=stated.constraints, tools=tools)
    try:
        made = make(msgspec.structs.replace(plain, source=source))
    except EnvironmentBuildError as error:
        made = make(plain)  # which says what is wrong where it is not these versions
        names = ", ".join(f"`{file}`" for files in stated.files for file in files)
        note = f"with them there is no environment: {error.message}"
        return made, [Condition("assumed packages", f"not those that {names} of the run names", note), line]
    return made, [*held(stated, made.section), line]


def _reconstruction(case: Case, error: UnrecordedError) -> Found:
    """The record that might have been written, of what is known now."""
    run, results = case.run, case.results
    record = msgspec.structs.replace(
        draft_of(case.prepared, case.provision),
        state="finished" if run.status == "FINISHED" else "failed",
        created=iso(run.started),
        nonce=run.run_id,
        hardware=HardwareSection(),
        materials=case.data.materials,
        products=results.products,
        runs=results.runs,
        parameters=results.parameters,
        metrics=results.metrics,
        byproducts=Byproducts(
            exit_status=0 if run.status == "FINISHED" else 1,
            started=iso(run.started),
            seconds=max(0, run.ended - run.started) / 1000,
        ),
        omissions=results.omissions,
    )
    return Found(
        id=record_id(encode(record)), record=record, path=Path(error.access.directory), run_id=run.run_id
    )


def _settings(case: Case) -> Settings:
    """What passes is what the user's own repository says today, where it is the one of the run."""
    if not case.code.own:
        return case.prepared.settings
    top = case.code.source
    folder = top / case.call.subdirectory
    return read_settings(folder if folder.is_dir() else top, top)


def _plan(case: Case, record: Record) -> Plan:
    options = case.options
    return Plan(
        record=record,
        source=case.code.source,
        store=case.prepared.store,
        settings=case.prepared.settings,
        isolation=options.isolation,  # type: ignore[arg-type]  # the command line offers the same words
        timeout=options.timeout,
        offline=options.offline,
        stores=places_of(options.stores),
        cached=True,  # made from the same lock a moment ago, and checked
        trust=case.trust,
        served=case.access.address.kind == "rest",
    )


def _as_reconstruction(
    verdict: Verdict, case: Case, reading: Reading, supplied: Iterable[Condition]
) -> Verdict:
    """The verdict with its own word, and with everything that was assumed."""
    word = "reconstructed" if verdict.reproduced else verdict.word
    notes = [NotChecked(subject, text) for subject, text in reading.notes.items() if subject != "runs"]
    return msgspec.structs.replace(
        verdict,
        word=word,
        factors=(),
        conditions=tuple(_conditions(verdict, case, reading, supplied)),
        not_checked=(*verdict.not_checked, *notes),
    )


def _conditions(
    verdict: Verdict, case: Case, reading: Reading, supplied: Iterable[Condition]
) -> Iterator[Condition]:
    where = f"from MLflow run {case.run.run_id} of `{case.access.address.uri}`"
    yield Condition("record", "reconstructed", f"{where}, recorded by MLflow alone")
    yield from case.assumed
    yield from supplied
    for path, reason in case.data.lost.items():
        yield Condition("assumed data", f"`{path}` was not needed", reason)
    if "runs" in reading.notes:
        yield Condition("assumed run", reading.notes["runs"], "chosen by its name or parameters")
    yield Condition("assumed seed", "none", "MLflow records none; reproof applied none")
    yield Condition("machine", "not known to be the same", "MLflow does not record it")
    for condition in verdict.conditions:
        if condition.name == "record" and condition.value != "reconstructed":
            yield Condition("code", "not your own", condition.note)
        elif condition.name == "Python":
            yield Condition("Python", condition.value)
        elif condition.name == "environment" and (condition.note or "").startswith("from "):
            note = (condition.note or "").partition(", as resolved")[0]
            yield Condition("environment", condition.value.replace("re-created", "made"), note)
        elif condition.name not in _OF_THE_RECORD:
            yield condition


def _place(case: Case) -> Place:
    """Where what waits for MLflow is kept: the user's repository, else their data folder."""
    top = git.find_top(Path.cwd())
    if top is not None and os.access(top, os.W_OK):
        return Place(top=top, own=own_folder(top))
    return Place(top=case.code.source, own=data_directory() / "unrecorded")
