"""`verify` of a pipeline: every stage from the raw data in one clean room, and the first that differs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import msgspec

from reproof.errors import RecordError
from reproof.model.difference import Difference, Outcome
from reproof.model.event import Emit
from reproof.model.policy import Policy, Rule
from reproof.model.record import Record
from reproof.model.stages import PipelineSection, StageOutcome
from reproof.model.verdict import NotChecked, Verdict
from reproof.project.settings import read_settings
from reproof.store.records import Found, RecordStore
from reproof.workflow.begin import now
from reproof.workflow.conditions import Circumstances, list_conditions
from reproof.workflow.earlier_runs import require_kept
from reproof.workflow.fetch import fetch_content
from reproof.workflow.lookup import Place
from reproof.workflow.pipeline.chain import Chain, Expectations, Tried, stage_difference
from reproof.workflow.room import Plan, Room, clean_room
from reproof.workflow.verdicts import choose_word, make_policy, rejected


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What passes, as the command line says it.

    Attributes:
        accept: The worst outcome that passes.
        rtol: Relative tolerance.
        atol: Absolute tolerance.
        keep: Leave the room in place.
    """

    accept: str | None = None
    rtol: float | None = None
    atol: float | None = None
    keep: bool = False


def stage_record(found: Found, address: str, place: Place) -> Found:
    """The record of one stage of a recorded pipeline.

    Raises:
        RecordError: The pipeline has no such stage, or it has no record.
    """
    pipeline = found.record.pipeline or PipelineSection()
    link = next((each for each in pipeline.stages if each.address == address), None)
    if link is None or link.record is None:
        known = ", ".join(f"`{each.address}`" for each in pipeline.stages if each.record is not None)
        raise RecordError(
            f"the record `{found.id[:12]}` has no stage `{address}` that was run",
            details=[("stages", known or "none")],
        )
    return RecordStore(place.own).read(link.record)


def verify_stages(found: Found, plan: Plan, place: Place, limits: Limits, emit: Emit) -> Verdict:
    """Re-run every stage of a recorded pipeline, from the raw data, and compare each of its results.

    Args:
        found: The record of the pipeline.
        plan: What the room is made from.
        place: Where the records of the stages are.
        limits: What passes.
        emit: Told about the work.

    Raises:
        RecordError, MaterialError, EnvironmentBuildError, ExecutionError: As for a single run.
    """
    section = found.record.pipeline or PipelineSection()
    records = {
        each.address: RecordStore(place.own).read(each.record) for each in section.stages if each.record
    }
    for each in (found, *records.values()):
        fetch_content(each.record, plan.store, plan.source, plan.stores)
        require_kept(each.record, plan.store)
    started = time.monotonic()
    with clean_room(plan, keep=limits.keep, emit=emit) as room:
        settings = read_settings(room.project, room.top)
        policy = make_policy(settings.policy, limits.accept, limits.rtol, limits.atol)
        seconds = {"recorded": _recorded_seconds(records), "room": round(time.monotonic() - started, 2)}
        chain = Chain(room, policy, Expectations(records=records, store=plan.store), emit)
        tried = [chain.run(each) for each in section.stages if each.address in records]
        for done in tried:
            seconds[f"stage {done.link.address}"] = done.record.byproducts.seconds
        verdict = decide(found, room, tried, policy, seconds)
    return msgspec.structs.replace(verdict, room=str(room.folder) if limits.keep else None)


def _recorded_seconds(records: dict[str, Found]) -> float:
    return round(sum(each.record.byproducts.seconds for each in records.values()), 3)


def decide(
    found: Found, room: Room, tried: list[Tried], policy: Policy, seconds: dict[str, float]
) -> Verdict:
    """The verdict on a pipeline, from what came of its stages.

    Args:
        found: The record of the pipeline.
        room: Where the stages were re-run.
        tried: The stages, in order.
        policy: What passes.
        seconds: Wall times.
    """
    differences = tuple(stage_difference(each, policy) for each in tried)
    every = [difference for each in tried for difference in each.judgement.differences]
    every += [difference for each in tried if each.alone for difference in each.alone.differences]
    every += list(_nothing(tried))
    first = next((each for each in tried if each.state(policy) == "differs"), None)
    circumstances = [
        Circumstances(
            recorded=each.found.record,
            rerun=each.record,
            room=msgspec.structs.replace(room, shelf=each.shelf),
            redirected=each.redirected,
        )
        for each in tried
    ]
    again = tuple(dict.fromkeys(line for each in circumstances for line in each.used_again()))
    word = choose_word(every, policy, used_again=bool(again))
    conditions = [line for each in circumstances for line in list_conditions(each)]
    return Verdict(
        record=found.id,
        run_id=found.run_id,
        project=found.record.project.name,
        created=now(),
        outcome=Outcome.worst(difference.outcome for difference in (*differences, *_nothing(tried))),
        word=word,
        reproduced=word in ("reproduced", "repeated"),
        stability=first.stability if first is not None else "not tried",
        policy=_with_rules(policy, tried),
        differences=(*differences, *_nothing(tried)),
        conditions=tuple(dict.fromkeys(conditions)),
        not_checked=tuple(_not_checked(found.record, tried)),
        seconds=seconds,
        tool=f"reproof {found.record.tool.version}",
        stages=tuple(_outcome(each, policy) for each in tried),
        first=first.link.address if first is not None else None,
    )


def _nothing(tried: Iterable[Tried]) -> Iterator[Difference]:
    if not list(tried):
        yield Difference(
            subject="stages",
            outcome=Outcome.UNKNOWN,
            kind="stage",
            summary="no stage of the pipeline has a record: there is nothing to compare",
        )


def _with_rules(policy: Policy, tried: list[Tried]) -> Policy:
    """The policy, which also says that a stage passes where each of its results does."""
    passing = [
        Rule(pattern=f"stage {each.link.address}", accept=Outcome.DIFFERENT)
        for each in tried
        if each.state(policy) == "same" and stage_difference(each, policy).outcome > policy.accept
    ]
    return msgspec.structs.replace(policy, rules=(*passing, *policy.rules))


def _outcome(tried: Tried, policy: Policy) -> StageOutcome:
    state = tried.state(policy)
    alone = tried.alone
    return StageOutcome(
        address=tried.link.address,
        record=tried.found.id,
        state=state,
        outcome=tried.judgement.outcome.word,
        alone=alone.outcome.word if alone is not None else None,
        stability=tried.stability,
        sources=tried.sources if rejected(tried.judgement.differences, policy) else (),
    )


def _not_checked(record: Record, tried: list[Tried]) -> Iterator[NotChecked]:
    found: dict[NotChecked, None] = {}
    for each in tried:
        for item in each.judgement.not_checked:
            found[item] = None
    yield from found
    for link in (record.pipeline or PipelineSection()).stages:
        if link.record is None:
            reason = (
                "it is frozen: its outputs were taken as they are"
                if link.state == "frozen"
                else "it was not run"
            )
            yield NotChecked(f"stage {link.address}", reason)
    yield NotChecked("standard output and error", "informational: their digests are in the records")
