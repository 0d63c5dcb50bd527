"""One pin tried alone, on a bench of its own or on that of the whole inquiry; several at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import msgspec

from reproof.model.event import Emit, silent
from reproof.workflow.altering import Variation
from reproof.workflow.bench import Bench
from reproof.workflow.budget import Budget, SpentError
from reproof.workflow.judge import Side
from reproof.workflow.many import Batch, Hands, results_of
from reproof.workflow.needs import needs_of
from reproof.workflow.pinned import PINS, Pin
from reproof.workflow.room import Plan


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What came of re-runs under one pin.

    Attributes:
        problem: Why they say nothing: it could not be applied, or the run does not come to its usual end.
        solved: Results that were the same in all of them.
        count: How many re-runs agreed.
        elsewhere: What came of the pin at other values, for people.
        runs: Re-runs that were made on a bench of its own.
        spent: Whether the budget ended before there was an answer.
    """

    problem: str | None = None
    solved: frozenset[str] = frozenset()
    count: int = 0
    elsewhere: str = ""
    runs: int = 0
    spent: bool = False


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a pin: it travels between processes.

    Attributes:
        plan: What rooms are made from.
        kind: Of the pin.
        left: Results that vary.
        agree: How many re-runs have to agree.
        status: How the run ends as recorded.
        budget: What it may use.
    """

    plan: Plan
    kind: str
    left: frozenset[str]
    agree: int
    status: int | None
    budget: Budget = Budget()


def try_pin(bench: Bench, pin: Pin, asked: Trial) -> Tried:
    """See which results repeat while one pin is held.

    Raises:
        SpentError: The budget is not enough.
    """
    obstacle = pin.value.obstacle(bench.setting)
    if obstacle is not None:
        return Tried(problem=obstacle)
    sides = [bench.run((pin.value,)) for _ in range(2)]
    problem = _problem(bench, pin.value, sides, asked.status)
    if problem is not None:
        return Tried(problem=problem)
    solved, count = confirmed(bench, (pin.value,), sides, (asked.left - differing(bench, sides), asked.agree))
    if not solved:
        return Tried()
    return Tried(solved=solved, count=count, elsewhere=_elsewhere(bench, pin, sides[0], solved))


def differing(bench: Bench, sides: Sequence[Side]) -> set[str]:
    """Results that are not the same in all of them."""
    return {name for other in sides[1:] for name in bench.between(sides[0], other)}


def confirmed(
    bench: Bench, variations: Sequence[Variation], sides: list[Side], wanted: tuple[frozenset[str], int]
) -> tuple[frozenset[str], int]:
    """What is still the same after as many re-runs as are wanted, and how many those were.

    Raises:
        SpentError: The budget is not enough.
    """
    solved, agree = wanted
    while solved and len(sides) < agree:
        sides.append(bench.run(variations))
        solved = solved - differing(bench, sides)
    return solved, len(sides)


def try_at_once(pins: Sequence[Pin], asked: Trial, hands: Hands, emit: Emit) -> list[Tried]:
    """Try several pins at the same time, each in a room of its own; one answer for each, in their order.

    Raises:
        ReproofError: One of them could not be worked on.
    """
    batch = Batch(
        tasks={each.kind: msgspec.structs.replace(asked, kind=each.kind) for each in pins},
        work=work_on,
        title="holding fast what may vary, several at once",
        needs=needs_of(asked.plan.record, asked.plan.settings.resources, hands.resources),
    )
    return list(results_of(batch, hands, emit).values())


def work_on(asked: Trial, emit: Emit = silent) -> Tried:
    """Try one pin in a room of its own, here."""
    (pin,) = (each for each in PINS if each.kind == asked.kind)
    with ExitStack() as stack:
        bench = Bench(asked.plan, stack, asked.budget, emit)
        try:
            found = try_pin(bench, pin, asked)
        except SpentError:  # only a time can be: the number of re-runs was set apart
            found = Tried(spent=True)
        return msgspec.structs.replace(found, runs=bench.runs)


def most_runs(agree: int) -> int:
    """How many re-runs one pin takes at most."""
    return max(2, agree) + max(len(each.others) for each in PINS)


def _problem(bench: Bench, pin: Variation, sides: Sequence[Side], status: int | None) -> str | None:
    if pin.name in bench.inactive:
        return bench.inactive[pin.name]
    ends = {side.record.byproducts.exit_status for side in sides}
    return None if ends == {status} else "the run does not come to its usual end with it"


def _elsewhere(bench: Bench, pin: Pin, side: Side, solved: frozenset[str]) -> str:
    """Whether the same pin at another value leads to another result; an extra, where the budget allows it."""
    try:
        for other in pin.others:
            if solved & bench.between(side, bench.run((other,))).keys():
                return "; pinned at another value: another result"
    except SpentError:
        return ""
    return "; pinned at other values: the same" if pin.others else ""
