"""Re-running in a room, as often as it takes to say something; and from there to a verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from reproof.capture.tree import EXCLUDED
from reproof.compare.records import compare_set_ups
from reproof.compare.registry import broken_entry_points
from reproof.model.difference import Difference, Outcome
from reproof.model.event import Emit, Event
from reproof.model.policy import Policy
from reproof.model.randomness import EntropyDraw
from reproof.model.record import Record
from reproof.model.verdict import SAME, ByItself, NotChecked, Stability, Verdict, Word
from reproof.report.chance import covered, suspects
from reproof.store.records import Found
from reproof.workflow.chance import known_already, try_by_itself
from reproof.workflow.conditions import Circumstances, list_conditions
from reproof.workflow.judge import Judgement, Side, judge
from reproof.workflow.lending import moved
from reproof.workflow.observe import Evidence
from reproof.workflow.room import Room, refresh, rerun
from reproof.workflow.run import now
from reproof.workflow.verdicts import choose_stability, choose_word, decided, rejected


class Aim(msgspec.Struct, frozen=True, kw_only=True):
    """What re-runs are compared with, and how.

    Attributes:
        found: The record.
        policy: What passes.
        repeat: Number of re-runs that must all agree with the record.
        measure: Turns the record of a re-run, with what was seen of it, into what the record can be compared with.
        settle: Has the last word on a comparison.
    """

    found: Found
    policy: Policy
    repeat: int = 1
    measure: Callable[[Record, Evidence], Record] = lambda record, _: record
    settle: Callable[[Judgement], Judgement] = lambda judgement: judgement


class Rerun(msgspec.Struct, frozen=True):
    """One re-run: its record, what it was compared to, what it was redirected from, and its number in the room."""

    record: Record
    judgement: Judgement
    redirected: tuple[str, ...]
    number: int


class Reruns(msgspec.Struct, frozen=True, kw_only=True):
    """All re-runs of one verify, and how they relate to each other."""

    reruns: tuple[Rerun, ...]
    stability: Stability
    between: tuple[Difference, ...]
    by_itself: ByItself = "not tried"


def rerun_first(room: Room, aim: Aim, emit: Emit) -> tuple[Room, Rerun]:
    """The first re-run of a room, in which inputs may be lent.

    Nothing is held against a run that could not write what was lent to it, nor believed where that moved:
    then it is made again with copies.

    Returns:
        The room, in which nothing is lent where that was so, and the re-run.
    """
    first = rerun_once(room, aim, 1, emit)
    lent = room.restored.lent
    if not lent or not (rejected(first.judgement.differences, aim.policy) or moved(lent, first.record)):
        return room, first
    message = "something differs: re-running with copies of the data that was bound read-only"
    emit(Event(kind="note", subject="verify", message=message))
    room = refresh(room, emit)
    return room, rerun_once(room, aim, 2, emit, laid_out=True)


def rerun_all(room: Room, aim: Aim, emit: Emit, first: Rerun | None = None) -> Reruns:
    """Re-run as often as asked for, and once more where something differs: the control.

    Args:
        room: Where.
        aim: What is compared with what.
        emit: Told about the work.
        first: A re-run that was made already.
    """
    policy = aim.policy
    control = [first if first is not None else rerun_once(room, aim, 1, emit)]
    start = control[0].number
    control += [rerun_once(room, aim, start + more, emit) for more in range(1, aim.repeat)]
    if len(control) == 1 and decided(rejected(control[0].judgement.differences, policy)):
        emit(
            Event(
                kind="note",
                subject="verify",
                message="something differs: re-running once more, to tell a change from a run that varies",
            )
        )
        control.append(rerun_once(room, aim, start + 1, emit))
    between: list[Difference] = []
    side = Side(control[0].record, room.store)
    for other in control[1:]:
        result = judge(side, Side(other.record, room.store), policy, _scratch(room))
        between.extend(rejected(result.differences, policy))
    stability = choose_stability(between, policy, tried=len(control) > 1)
    return Reruns(reruns=tuple(control), stability=stability, between=tuple(between))


def rerun_once(room: Room, aim: Aim, number: int, emit: Emit, *, laid_out: bool = False) -> Rerun:
    """One re-run, compared.

    Args:
        room: Where.
        aim: What it is compared with, and how.
        number: Counts the re-runs of the room, from 1.
        emit: Told of each step.
        laid_out: The room is ready; else the second and later ones begin by making it as it was.
    """
    record, evidence = rerun(room, number, emit, laid_out=laid_out)
    emit(Event(kind="start", subject="compare", message="comparing"))
    record = aim.measure(record, evidence)
    expected = Side(aim.found.record, room.plan.store)
    judgement = judge(expected, Side(record, room.store), aim.policy, _scratch(room))
    emit(Event(kind="finish", subject="compare"))
    return Rerun(record, aim.settle(judgement), evidence.redirected, number)


def with_chance(room: Room, aim: Aim, done: Reruns, emit: Emit, *, tried: bool) -> Reruns:
    """Say whether the code repeats by itself: from what is known, or from one more re-run without a seed."""
    reproduced = not any(rejected(each.judgement.differences, aim.policy) for each in done.reruns)
    answer = known_already(aim.found.record, done.stability, reproduced=reproduced)
    if answer == "not tried" and tried:
        number = done.reruns[-1].number + 1
        answer = try_by_itself(room, done.reruns[0].record, number, aim.policy, emit)
    return msgspec.structs.replace(done, by_itself=answer)


def _scratch(room: Room) -> Path:
    return room.folder / "compare"


def decide(
    aim: Aim, room: Room, done: Reruns, seconds: dict[str, float], *, replaced: tuple[str, ...] = ()
) -> Verdict:
    """The verdict on all re-runs; `replaced` says what was replaced on purpose."""
    found, policy = aim.found, aim.policy
    differences = _worst_of([each.judgement.differences for each in done.reruns])
    circumstances = Circumstances(
        recorded=found.record,
        rerun=done.reruns[0].record,
        room=room,
        redirected=done.reruns[0].redirected,
        replaced=replaced,
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
        reproduced=word in SAME,
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
    )


def _suspects(recorded: Record, done: Reruns, word: Word) -> tuple[EntropyDraw, ...]:
    """Draws that may be why it is not reproduced; those thought harmless only where the run varies."""
    if word in SAME:
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


def _not_checked(reruns: Sequence[Rerun]) -> tuple[NotChecked, ...]:
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
