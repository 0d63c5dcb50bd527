"""Whether code repeats by itself, apart from reproof's seed."""

from __future__ import annotations

from pathlib import Path

import msgspec

from reproof.model.difference import Difference
from reproof.model.event import Emit, Event
from reproof.model.policy import Policy
from reproof.model.record import Record
from reproof.model.verdict import ByItself, Stability
from reproof.workflow.judge import Side, judge
from reproof.workflow.room import Room, rerun
from reproof.workflow.verdicts import decided, rejected


def without_control(record: Record) -> Record:
    """The recipe of a record without a seed of reproof's, nor streams, nor the hash seed that it had set."""
    chance = record.randomness
    if chance.seed is None:
        return record
    variables = dict(record.environment.variables)
    if variables.get("PYTHONHASHSEED") == str(chance.seed % 2**32):
        del variables["PYTHONHASHSEED"]
    return msgspec.structs.replace(
        record,
        randomness=msgspec.structs.replace(chance, seed=None, seed_source="none", entropy="record"),
        environment=msgspec.structs.replace(record.environment, variables=variables),
    )


def try_by_itself(room: Room, first: Record, number: int, policy: Policy, emit: Emit) -> ByItself:
    """Carry out the recipe once more in the room without reproof's seed, and compare with the re-run `first`.

    Args:
        room: Where `first` was made.
        first: A re-run as recorded.
        number: Of this re-run, among those of the room.
        policy: What counts as the same.
        emit: Told about the work.

    Returns:
        ``yes`` where the results agree, ``no`` where they differ, ``not tried`` where that cannot be said.
    """
    emit(Event(kind="note", subject="verify", message="re-running without reproof's seed"))
    plan = msgspec.structs.replace(room.plan, record=without_control(room.plan.record))
    record, _ = rerun(msgspec.structs.replace(room, plan=plan), number, emit)
    emit(Event(kind="start", subject="compare", message="comparing"))
    found = judge(
        Side(first, room.store), Side(record, room.store), policy, Path(room.folder) / "compare"
    ).differences
    emit(Event(kind="finish", subject="compare"))
    return by_itself(found, policy)


def by_itself(differences: tuple[Difference, ...], policy: Policy) -> ByItself:
    """What two runs without reproof's seed (or one, and one with it) say."""
    bad = rejected(differences, policy)
    if not bad:
        return "yes"
    return "no" if decided(bad) else "not tried"


def known_already(record: Record, stability: Stability, *, reproduced: bool) -> ByItself:
    """What follows from the re-runs alone.

    Without a seed of reproof's a run that came out the same has repeated by itself; one that varies, though
    everything that reproof covers was covered, does not repeat. For all else it takes a re-run without.
    """
    if stability == "varies":
        return "no"
    return "yes" if reproduced and record.randomness.seed is None else "not tried"
