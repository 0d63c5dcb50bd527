"""Groups of variations at the same time: each lane has a room and a control of its own.

What differs between two rooms is nothing that a variation did, so that a lane compares with its own control alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import ExitStack

import msgspec

from reproof.base.files import remove_tree
from reproof.base.locations import cache_directory
from reproof.model.event import Emit, silent
from reproof.model.stress import Exercise
from reproof.workflow.altering import Variation
from reproof.workflow.bench import Bench
from reproof.workflow.budget import Budget
from reproof.workflow.exercises import exercise_all, repeated, without
from reproof.workflow.many import Batch, Hands, results_of
from reproof.workflow.needs import needs_of
from reproof.workflow.parcel import Packed, pack, settle
from reproof.workflow.room import Plan
from reproof.workflow.variations import INFORMATIVE, select

#: Groups that share a lane, the longest first.
_TOGETHER = (("repeat", "circumstances"), ("one-cpu", "threads"), ("isa", "entropy", INFORMATIVE))


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker does: it travels between processes.

    Attributes:
        plan: What its rooms are made from.
        vary: Names of variations, as on the command line.
        budget: What it may use.
    """

    plan: Plan
    vary: str
    budget: Budget


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a lane, or of all.

    Attributes:
        exercises: One for each variation, `repeat` first.
        subjects: Names of all results.
        runs: Re-runs that were made.
        conditions: Name and value.
    """

    exercises: tuple[Exercise, ...]
    subjects: tuple[str, ...]
    runs: int
    conditions: tuple[tuple[str, str], ...]


def in_lanes(whole: Lane, wanted: Sequence[Variation], hands: Hands, emit: Emit) -> Done:
    """Exercise what is wanted, in one lane, or in several where there are hands for them.

    Raises:
        ReproofError: A lane could not be worked on.
    """
    lanes = _split(whole, wanted)
    if not lanes or (hands.count == 1 and hands.cluster is None):
        return work_on(whole, emit)
    packed = pack(whole.plan, emit) if hands.cluster is not None else Packed(whole.plan, {})
    batch = Batch(
        tasks={name: msgspec.structs.replace(lane, plan=packed.plan) for name, lane in lanes.items()},
        work=work_on,
        title="varying, several groups at once",
        needs=needs_of(whole.plan.record, whole.plan.settings.resources, hands.resources),
        luggage=packed.luggage,
    )
    return _merged(list(results_of(batch, hands, emit).values()))


def work_on(lane: Lane, emit: Emit = silent) -> Done:
    """Work on one lane, here."""
    own = None
    if lane.plan.rooms is None:
        own = cache_directory() / "rooms" / f"stress-{secrets.token_hex(6)}"
    plan = settle(lane.plan)
    plan = plan if own is None else msgspec.structs.replace(plan, rooms=own)
    try:
        with ExitStack() as stack:
            bench = Bench(plan, stack, lane.budget, emit)
            exercises, subjects = exercise_all(bench, select(lane.vary))
            return Done(
                exercises=exercises, subjects=subjects, runs=bench.runs, conditions=conditions_of(bench)
            )
    finally:
        if own is not None:
            remove_tree(own)


def _split(whole: Lane, wanted: Sequence[Variation]) -> dict[str, Lane]:
    parts = {
        ", ".join(groups): ",".join(each.name for each in wanted if each.group in groups)
        for groups in _TOGETHER
    }
    used = {name: vary for name, vary in parts.items() if vary}
    return {
        name: msgspec.structs.replace(whole, vary=vary, budget=whole.budget.share(len(used)))
        for name, vary in used.items()
    }


def _merged(lanes: Sequence[Done]) -> Done:
    """One answer of several lanes; what varies by itself in one of them is blamed on nothing in the others."""
    unstable = {c.subject: c.summary for lane in lanes for c in lane.exercises[0].changes}
    repeats = [lane.exercises[0] for lane in lanes]
    first = next((each for each in repeats if each.outcome != "same"), repeats[0])
    first = repeated(unstable) if unstable else first
    found = without([each for lane in lanes for each in lane.exercises[1:]], unstable.keys())
    order = [each.name for each in select("all")]
    return Done(
        exercises=(first, *sorted(found, key=lambda each: order.index(each.name))),
        subjects=tuple(dict.fromkeys(subject for lane in lanes for subject in lane.subjects)),
        runs=sum(lane.runs for lane in lanes),
        conditions=lanes[0].conditions,
    )


def conditions_of(bench: Bench) -> tuple[tuple[str, str], ...]:
    """Under which conditions the re-runs of a bench were made: name and value."""
    chance, hardware = bench.plan.record.randomness, bench.plan.record.hardware
    return (
        ("isolation", bench.room.choice.level),
        ("seed", "none applied by reproof" if chance.seed is None else f"{chance.seed}, as recorded"),
        ("CPUs", str(hardware.affinity or hardware.cpus)),
        ("control", "run at least twice; what differs between them is not blamed on a variation"),
    )
