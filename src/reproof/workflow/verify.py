"""`verify`: re-create a recorded run in a clean room, compare every result, give a verdict."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from reproof.base import git
from reproof.errors import ProjectError, StoreError, UsageError
from reproof.model.event import Emit, Event, silent
from reproof.model.record import Record
from reproof.model.verdict import Verdict
from reproof.project.settings import Settings, read_settings
from reproof.store.records import Found, RecordStore
from reproof.workflow.concealed import require_nothing_concealed
from reproof.workflow.fetch import fetch_content, places_of
from reproof.workflow.lookup import Place, is_served, place_of
from reproof.workflow.pipeline.verify import Limits, stage_record, verify_stages
from reproof.workflow.remote_runs import UnrecordedError, find_anywhere
from reproof.workflow.replaced import with_other_code, with_other_data, with_other_environment
from reproof.workflow.rerunning import Aim, decide, rerun_all, rerun_first, with_chance
from reproof.workflow.room import Plan, Trust, clean_room
from reproof.workflow.trail import Trail, open_trail
from reproof.workflow.trust import is_own
from reproof.workflow.unrecorded.verify import verify_unrecorded
from reproof.workflow.verdict_log import log_verdict
from reproof.workflow.verdicts import exit_status_of, make_policy
from reproof.workflow.verify_options import VerifyOptions

__all__ = ["VerifyOptions", "exit_status_of", "verify"]


def verify(
    reference: str | Path, options: VerifyOptions | None = None, emit: Emit = silent
) -> tuple[Verdict, Record]:
    """Re-create the run `reference` and compare.

    Args:
        reference: ``last``, a record id or MLflow run id or a beginning of one, or a record file.
            A run that is not of this project is looked for in the MLflow store.
        options: What passes, how often, how isolated.
        emit: Told about the work.

    Returns:
        The verdict, which is also kept beside the record, and the record that it is about.

    Raises:
        RecordError: There is no such record, or it cannot be trusted.
        MissingError: Of a run that reproof did not record: something is nowhere to be had.
        MaterialError: An input is missing or not what was recorded.
        EnvironmentBuildError: The environment cannot be made.
        ExecutionError: The isolation cannot be had.
    """
    chosen = options or VerifyOptions()
    try:
        found = find_anywhere(str(reference), chosen.tracking_uri, emit)
    except UnrecordedError as unrecorded:
        return verify_unrecorded(unrecorded, chosen, emit)
    place = place_of(found)
    if chosen.stage is not None:
        found = stage_record(found, chosen.stage, place)
    _require_finished(found)
    require_nothing_concealed(found.record)
    found, replaced = _replaced(found, place, chosen, emit)
    settings = read_settings(place.top / found.record.project.subdirectory, place.top)
    policy = make_policy(settings.policy, chosen.accept, chosen.rtol, chosen.atol)
    plan = _plan(found, place, settings, chosen)
    trail = open_trail(place.top, place.own, emit)
    if found.record.pipeline is not None:
        return _verify_pipeline(found, plan, place, chosen, trail, emit), found.record
    fetch_content(found.record, plan.store, plan.source, plan.stores)
    started = time.monotonic()
    with clean_room(plan, keep=chosen.keep, emit=emit) as furnished:
        seconds = {"recorded": found.record.byproducts.seconds, "room": round(time.monotonic() - started, 2)}
        aim = Aim(found=found, policy=policy, repeat=chosen.repeat)
        room, first = rerun_first(furnished, aim, emit)
        done = with_chance(room, aim, rerun_all(room, aim, emit, first), emit, tried=chosen.by_itself)
        for number, each in enumerate(done.reruns, 1):
            seconds[f"re-run {number}"] = each.record.byproducts.seconds
        verdict = decide(aim, room, done, seconds, replaced=replaced)
        if chosen.keep:
            verdict = msgspec.structs.replace(verdict, room=str(room.folder))
        if replaced:
            return verdict, found.record
        _keep(verdict, RecordStore(place.own), emit)
        trail.verified(verdict, emit)
        if chosen.log:
            trusted = plan.trust != "none" and room.provision.contained is None
            log_verdict(verdict, found, place, room.provision.environment.python if trusted else None, emit)
    return verdict, found.record


def _replaced(
    found: Found, place: Place, options: VerifyOptions, emit: Emit
) -> tuple[Found, tuple[str, ...]]:
    """What is to be re-created, and what of it is not as recorded, by the user's own wish."""
    record = found.record
    if options.command or options.entry_point:
        raise UsageError(
            "the record says what was run",
            details=[("command", record.project.command)],
            hint="a command and `--entry-point` are for runs that reproof did not record",
        )
    if options.code is None and options.env is None and not options.data:
        return found, ()
    if record.pipeline is not None:
        what = "code" if options.code is not None else "data" if options.data else "packages"
        raise UsageError(f"cannot replace the {what} of a pipeline", hint="pass `--stage NAME` besides")
    words = []
    if options.code is not None:
        record, said = with_other_code(record, place.top, options.code)
        words.append(said)
    if options.data:
        record, said = with_other_data(record, place.store, options.data, new=options.code is not None)
        words.append(said)
    if options.env is not None:
        trusted = _trust(found, options) != "none"
        record, said = with_other_environment(
            record, place.store, Path(options.env), emit, offline=options.offline, trusted=trusted
        )
        words.append(said)
    return msgspec.structs.replace(found, record=record), tuple(words)


def _verify_pipeline(  # noqa: PLR0913, PLR0917  # what `verify` has at hand
    found: Found, plan: Plan, place: Place, options: VerifyOptions, trail: Trail, emit: Emit
) -> Verdict:
    limits = Limits(accept=options.accept, rtol=options.rtol, atol=options.atol, keep=options.keep)
    verdict = verify_stages(found, plan, place, limits, emit)
    _keep(verdict, RecordStore(place.own), emit)
    trail.verified(verdict, emit)
    if options.log and plan.trust != "none":
        log_verdict(verdict, found, place, None, emit)
    return verdict


def _keep(verdict: Verdict, records: RecordStore, emit: Emit) -> None:
    """Keep a verdict beside its record; one that cannot be kept is still one."""
    try:
        records.add_verdict(verdict.record, verdict)
    except StoreError as error:
        reason = dict(error.details).get("reason", "")
        emit(
            Event(
                kind="warning",
                subject="verdict",
                message=f"the verdict is not kept: {error.message}: {reason}",
            )
        )


def _require_finished(found: Found) -> None:
    if found.record.state == "unfinished":
        raise ProjectError(
            "cannot verify a run that has not ended",
            details=[("record", found.id[:12]), ("started", found.record.created)],
            hint="`reproof list` shows those that have",
        )


def _plan(found: Found, place: Place, settings: Settings, options: VerifyOptions) -> Plan:
    return Plan(
        record=found.record,
        source=git.require_top(place.top),
        store=place.store,
        settings=settings,
        isolation=options.isolation,  # type: ignore[arg-type]  # the command line offers the same words
        timeout=options.timeout,
        offline=options.offline,
        stores=places_of(options.stores),
        trust=_trust(found, options),
        allow_python=options.allow_python,
        wheels=options.wheels,
        lend=options.repeat == 1 and not options.by_itself and not options.keep,
        served=is_served(found, place),
    )


def _trust(found: Found, options: VerifyOptions) -> Trust:
    if is_own(found.id):
        return "own"
    return "given" if options.trust else "none"
