"""`verify`: re-create a recorded run in a clean room, compare every result, give a verdict."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from reproof.base import git
from reproof.capture.tree import EXCLUDED
from reproof.compare.records import compare_set_ups
from reproof.compare.registry import broken_entry_points
from reproof.errors import ProjectError, StoreError, UsageError
from reproof.model.difference import Difference, Outcome
from reproof.model.event import Emit, Event, silent
from reproof.model.policy import Policy
from reproof.model.randomness import EntropyDraw
from reproof.model.record import Record
from reproof.model.verdict import ByItself, NotChecked, Stability, Verdict, Word
from reproof.project.settings import Settings, read_settings
from reproof.report.chance import covered, suspects
from reproof.store.directory import DirectoryStore
from reproof.store.records import Found, RecordStore
from reproof.workflow.chance import known_already, try_by_itself
from reproof.workflow.concealed import require_nothing_concealed
from reproof.workflow.conditions import Circumstances, list_conditions
from reproof.workflow.earlier_runs import require_none
from reproof.workflow.fetch import fetch_content, places_of
from reproof.workflow.judge import Judgement, Side, judge
from reproof.workflow.lookup import Place, place_of
from reproof.workflow.pipeline.verify import Limits, stage_record, verify_stages
from reproof.workflow.remote_runs import find_anywhere
from reproof.workflow.replaced import with_other_code
from reproof.workflow.room import Plan, Room, Trust, clean_room, rerun
from reproof.workflow.run import now
from reproof.workflow.trail import Trail, open_trail
from reproof.workflow.trust import is_own
from reproof.workflow.verdict_log import log_verdict
from reproof.workflow.verdicts import (
    choose_stability,
    choose_word,
    decided,
    exit_status_of,
    make_policy,
    rejected,
)

__all__ = ["VerifyOptions", "exit_status_of", "verify"]


class VerifyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `verify` may be told.

    Attributes:
        accept: The worst outcome that passes: ``identical``, ``equivalent``, ``close``.
        rtol: Relative tolerance.
        atol: Absolute tolerance.
        repeat: Number of re-runs that must all agree with the record.
        by_itself: Re-run once more without reproof's seed, to say whether the code repeats without it.
        keep: Leave the room in place.
        isolation: ``auto``, ``none``, ``process``, ``bubblewrap`` or ``docker``.
        timeout: Seconds for one re-run.
        offline: Take packages from the cache alone.
        stores: Further folders to look for content in.
        log: Write the verdict to the MLflow run.
        tracking_uri: MLflow store to look for runs in that are not of this project; MLFLOW_TRACKING_URI when None.
        trust: Treat a record that was not made by this user on this host as if it were.
        allow_python: Versions of Python, ``3.11.*``, that may stand in for the recorded one.
        wheels: A folder of wheels (of a bundle); packages come from there alone.
        stage: Of a pipeline: only this stage, on the recorded inputs.
        code: A commit whose code takes the place of the recorded one. The verdict then says whether that
            alters the result; it is not kept, since it is none on the record.
    """

    accept: str | None = None
    rtol: float | None = None
    atol: float | None = None
    repeat: int = 1
    by_itself: bool = False
    keep: bool = False
    isolation: str = "auto"
    timeout: float | None = None
    offline: bool = False
    stores: tuple[str, ...] = ()
    log: bool = True
    tracking_uri: str | None = None
    trust: bool = False
    allow_python: str | None = None
    wheels: Path | None = None
    stage: str | None = None
    code: str | None = None


class _Rerun(msgspec.Struct, frozen=True):
    """One re-run: its record, what it was compared to, and what it was redirected from."""

    record: Record
    judgement: Judgement
    redirected: tuple[str, ...]


class _Reruns(msgspec.Struct, frozen=True, kw_only=True):
    """All re-runs of one verify, and how they relate to each other."""

    reruns: tuple[_Rerun, ...]
    stability: Stability
    between: tuple[Difference, ...]
    by_itself: ByItself = "not tried"


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
        MaterialError: An input is missing or not what was recorded.
        EnvironmentBuildError: The environment cannot be made.
        ExecutionError: The isolation cannot be had.
    """
    chosen = options or VerifyOptions()
    found = find_anywhere(str(reference), chosen.tracking_uri, emit)
    place = place_of(found)
    if chosen.stage is not None:
        found = stage_record(found, chosen.stage, place)
    _require_finished(found)
    require_none(found.record)
    require_nothing_concealed(found.record)
    found, replaced = _replaced(found, place, chosen)
    settings = read_settings(place.top / found.record.project.subdirectory, place.top)
    policy = make_policy(settings.policy, chosen.accept, chosen.rtol, chosen.atol)
    plan = _plan(found, place.top, place.store, settings, chosen)
    trail = open_trail(place.top, place.own, emit)
    if found.record.pipeline is not None:
        return _verify_pipeline(found, plan, place, chosen, trail, emit), found.record
    fetch_content(found.record, plan.store, plan.source, plan.stores)
    started = time.monotonic()
    with clean_room(plan, keep=chosen.keep, emit=emit) as room:
        seconds = {"recorded": found.record.byproducts.seconds, "room": round(time.monotonic() - started, 2)}
        done = _rerun_all(room, found, policy, chosen.repeat, emit)
        done = _with_chance(room, found, policy, done, emit, tried=chosen.by_itself)
        for number, each in enumerate(done.reruns, 1):
            seconds[f"re-run {number}"] = each.record.byproducts.seconds
        verdict = _decide(found, room, done, policy, seconds, kept=chosen.keep, replaced=replaced)
        if replaced:
            return verdict, found.record
        _keep(verdict, RecordStore(place.own), emit)
        trail.verified(verdict, emit)
        if chosen.log:
            trusted = plan.trust != "none" and room.provision.contained is None
            log_verdict(verdict, found, place, room.provision.environment.python if trusted else None, emit)
    return verdict, found.record


def _replaced(found: Found, place: Place, options: VerifyOptions) -> tuple[Found, tuple[str, ...]]:
    """What is to be re-created, and what of it is not as recorded, by the user's own wish."""
    if options.code is None:
        return found, ()
    if found.record.pipeline is not None:
        raise UsageError("cannot replace the code of a pipeline", hint="pass `--stage NAME` besides")
    record, words = with_other_code(found.record, place.top, options.code)
    return msgspec.structs.replace(found, record=record), (words,)


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


def _plan(found: Found, top: Path, store: DirectoryStore, settings: Settings, options: VerifyOptions) -> Plan:
    return Plan(
        record=found.record,
        source=git.require_top(top),
        store=store,
        settings=settings,
        isolation=options.isolation,  # type: ignore[arg-type]  # the command line offers the same words
        timeout=options.timeout,
        offline=options.offline,
        stores=places_of(options.stores),
        trust=_trust(found, options),
        allow_python=options.allow_python,
        wheels=options.wheels,
    )


def _trust(found: Found, options: VerifyOptions) -> Trust:
    if is_own(found.id):
        return "own"
    return "given" if options.trust else "none"


def _rerun_all(room: Room, found: Found, policy: Policy, repeat: int, emit: Emit) -> _Reruns:
    """Re-run as often as asked for, and once more where something differs: the control."""
    expected = Side(found.record, room.plan.store)
    reruns = [_one(room, expected, policy, number, emit) for number in range(1, repeat + 1)]
    control = list(reruns)
    if len(control) == 1 and decided(rejected(control[0].judgement.differences, policy)):
        emit(
            Event(
                kind="note",
                subject="verify",
                message="something differs: re-running once more, to tell a change from a run that varies",
            )
        )
        control.append(_one(room, expected, policy, repeat + 1, emit))
    between: list[Difference] = []
    first = Side(control[0].record, room.store)
    for other in control[1:]:
        result = judge(first, Side(other.record, room.store), policy, _scratch(room))
        between.extend(rejected(result.differences, policy))
    stability = choose_stability(between, policy, tried=len(control) > 1)
    return _Reruns(reruns=tuple(control), stability=stability, between=tuple(between))


def _one(room: Room, expected: Side, policy: Policy, number: int, emit: Emit) -> _Rerun:
    record, evidence = rerun(room, number, emit)
    emit(Event(kind="start", subject="compare", message="comparing"))
    judgement = judge(expected, Side(record, room.store), policy, _scratch(room))
    emit(Event(kind="finish", subject="compare"))
    return _Rerun(record, judgement, evidence.redirected)


def _with_chance(  # noqa: PLR0913  # everything that a re-run needs, and whether there is to be one
    room: Room, found: Found, policy: Policy, done: _Reruns, emit: Emit, *, tried: bool
) -> _Reruns:
    """Say whether the code repeats by itself: from what is known, or from one more re-run without a seed."""
    reproduced = not any(rejected(each.judgement.differences, policy) for each in done.reruns)
    answer = known_already(found.record, done.stability, reproduced=reproduced)
    if answer == "not tried" and tried:
        answer = try_by_itself(room, done.reruns[0].record, len(done.reruns) + 1, policy, emit)
    return msgspec.structs.replace(done, by_itself=answer)


def _scratch(room: Room) -> Path:
    return room.folder / "compare"


def _decide(  # noqa: PLR0913  # everything that a verdict is made of meets here
    found: Found,
    room: Room,
    done: _Reruns,
    policy: Policy,
    seconds: dict[str, float],
    *,
    kept: bool,
    replaced: tuple[str, ...],
) -> Verdict:
    differences = _worst_of([each.judgement.differences for each in done.reruns])
    circumstances = Circumstances(
        recorded=found.record,
        rerun=done.reruns[0].record,
        room=room,
        redirected=done.reruns[0].redirected,
    )
    again = circumstances.used_again()
    factors = compare_set_ups(found.record, done.reruns[0].record) if done.stability == "consistent" else ()
    word = choose_word(differences, policy, used_again=bool(again), replaced=bool(replaced))
    return Verdict(
        record=found.id,
        run_id=found.run_id,
        project=found.record.project.name,
        created=now(),
        outcome=Outcome.worst(difference.outcome for difference in differences),
        word=word,
        reproduced=word in ("reproduced", "repeated", "same result"),
        replaced=replaced,
        stability=done.stability,
        by_itself=done.by_itself,
        covered=covered(found.record.randomness),
        draws=_suspects(found.record, done, word),
        policy=policy,
        differences=differences,
        conditions=list_conditions(circumstances),
        not_checked=_not_checked(done.reruns),
        factors=factors,
        seconds=seconds,
        tool=f"reproof {done.reruns[0].record.tool.version}",
        room=str(room.folder) if kept else None,
    )


def _suspects(recorded: Record, done: _Reruns, word: Word) -> tuple[EntropyDraw, ...]:
    """Draws that may be why it is not reproduced; those thought harmless only where the run varies."""
    if word in ("reproduced", "repeated", "same result"):
        return ()
    found = suspects(record.randomness for record in (recorded, *(each.record for each in done.reruns)))
    return tuple(draw for draw in found if done.stability == "varies" or draw.control == "uncontrolled")


def _worst_of(every: Sequence[tuple[Difference, ...]]) -> tuple[Difference, ...]:
    """One difference for each subject: of several re-runs the worst."""
    worst: dict[str, Difference] = {}
    for differences in every:
        for difference in differences:
            known = worst.get(difference.subject)
            if known is None or difference.outcome > known.outcome:
                worst[difference.subject] = difference
    return tuple(worst.values())


def _not_checked(reruns: Sequence[_Rerun]) -> tuple[NotChecked, ...]:
    runs = any(each.record.runs for each in reruns)
    found = {(item.subject, item.reason): item for each in reruns for item in each.judgement.not_checked}
    for each in reruns:
        for omission in each.record.omissions:
            if omission.hides_results:
                continue
            reason = f"in the re-run: {omission.reason}"
            if (omission.subject, omission.reason) not in found:
                found.setdefault((omission.subject, reason), NotChecked(omission.subject, reason))
    return (
        *found.values(),
        NotChecked("standard output and error", "informational: their digests are in the record"),
        *(NotChecked("comparator of another package", trouble) for trouble in broken_entry_points()),
        NotChecked("files below " + ", ".join(EXCLUDED), "made by tools, never looked at"),
        *(
            [NotChecked("tags and datasets of MLflow runs", "informational: they are in the record")]
            if runs
            else []
        ),
    )
