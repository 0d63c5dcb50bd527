"""Exercising variations on one bench: groups at once, told apart by halving, blamed after another control."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from reproof.errors import ProjectError
from reproof.model.stress import Change, Exercise, StressOutcome
from reproof.workflow.altering import Setting, Variation
from reproof.workflow.bench import STATUS, Bench, Changes
from reproof.workflow.budget import SpentError
from reproof.workflow.variations import INFORMATIVE, select

#: Why something was left open.
SPENT = "the budget is spent"

_FAILED: StressOutcome = "fails"

#: What changes under some variations.
Vary = Callable[[Sequence[Variation]], Changes]


def exercise_all(bench: Bench, wanted: Sequence[Variation]) -> tuple[tuple[Exercise, ...], tuple[str, ...]]:
    """Everything that is wanted, on one bench: the control twice, then group by group.

    Returns:
        An exercise for each variation, `repeat` first, and the names of all results.

    Raises:
        ProjectError: The re-run does not end as the recorded run did, or leaves nothing to compare.
    """
    record = bench.control().record
    if record.byproducts.exit_status != bench.plan.record.byproducts.exit_status:
        raise ProjectError(
            "the re-run does not end as the recorded run did: there is nothing to vary",
            details=[
                ("recorded", f"exit status {bench.plan.record.byproducts.exit_status}"),
                ("re-run", f"exit status {record.byproducts.exit_status}"),
            ],
            hint="`reproof verify` shows why",
        )
    subjects = bench.subjects()
    if not subjects:
        raise ProjectError(
            "the run left no metric, parameter, artifact or file: there is nothing to compare",
            hint="declare what it makes in `[tool.reproof] products`",
        )
    found = [_repeat(bench)]
    alone = [each for each in wanted if each.group != "repeat"]
    if not set(subjects) - bench.unstable:
        reason = "every result varies by itself"
        return (*found, *(_left_out(each, reason) for each in alone)), subjects
    for group in dict.fromkeys(each.group for each in alone):
        members = [each for each in alone if each.group == group]
        # What may well change a result is told one by one.
        for part in [[each] for each in members] if group == INFORMATIVE else [members]:
            found += exercise_group(bench.vary, bench.setting, part)
    found = [exercised(each, bench.inactive) for each in found]
    if any(each.outcome in ("differs", "fails") for each in found[1:]):
        found = _confirmed(bench, found)
    return tuple(found), subjects


def _repeat(bench: Bench) -> Exercise:
    (variation,) = select("repeat")
    try:
        return _told(variation, bench.repeat())
    except SpentError:
        return _left_out(variation, SPENT)


def exercise_group(vary: Vary, setting: Setting, members: Sequence[Variation]) -> list[Exercise]:
    """All members at once, and told apart where something changes; one exercise for each member."""
    found: dict[str, Exercise] = {}
    possible = []
    for each in members:
        obstacle = each.obstacle(setting)
        if obstacle is None:
            possible.append(each)
        else:
            found[each.name] = _left_out(each, obstacle)
    for blamed, changes in culprits(vary, possible):
        names = tuple(each.name for each in blamed)
        for each in blamed:
            others = tuple(name for name in names if name != each.name)
            if changes is None and len(names) == len(possible):  # nothing was tried, nothing is suspected
                found[each.name] = _left_out(each, SPENT)
            elif changes is None:
                reason = SPENT if not others else f"one of {', '.join(names)}: {SPENT}"
                found[each.name] = msgspec.structs.replace(_left_out(each, reason), outcome="unresolved")
            else:
                found[each.name] = msgspec.structs.replace(_told(each, changes), together_with=others)
    for each in possible:
        found.setdefault(each.name, _told(each, {}))
    return [found[each.name] for each in members]


def culprits(vary: Vary, members: Sequence[Variation]) -> list[tuple[Sequence[Variation], Changes | None]]:
    """The smallest groups that change something, by halving.

    Args:
        vary: Makes a re-run under all of the variations that it is given, and says what changed.
        members: What is suspected, together.

    Returns:
        Groups with what each changed: one variation alone, or several of which neither half changes anything.
        None for the changes of a group that was not tried, for want of re-runs. Empty where nothing changed.
    """
    if not members:
        return []
    try:
        changes = vary(members)
    except SpentError:
        return [(members, None)]
    if not changes:
        return []
    if len(members) == 1:
        return [(members, changes)]
    half = len(members) // 2
    parts = [*culprits(vary, members[:half]), *culprits(vary, members[half:])]
    return parts or [(members, changes)]


def exercised(exercise: Exercise, inactive: Mapping[str, str]) -> Exercise:
    """What changed nothing because it had no effect was not exercised; `inactive` says why, by name."""
    reason = inactive.get(exercise.name)
    if exercise.outcome != "same" or reason is None:
        return exercise
    return msgspec.structs.replace(exercise, outcome="not exercised", reason=reason)


def _confirmed(bench: Bench, found: list[Exercise]) -> list[Exercise]:
    """Before anything is blamed: one more control. What differs there varies by itself, only more rarely."""
    try:
        late = bench.repeat()
    except SpentError:
        return found
    if not late:
        return found
    return [repeated({**{c.subject: c.summary for c in found[0].changes}, **late}), *without(found[1:], late)]


def repeated(changes: Changes) -> Exercise:
    """The exercise `repeat`, with what varies by itself."""
    (variation,) = select("repeat")
    return _told(variation, changes)


def without(found: Sequence[Exercise], unstable: Collection[str]) -> list[Exercise]:
    """Exercises from which what varies by itself is taken out."""
    result = []
    for each in found:
        kept = tuple(change for change in each.changes if change.subject not in unstable)
        gone = each.changes and not kept
        reason = "what differed also varies by itself" if gone else each.reason
        outcome = "not exercised" if gone else each.outcome
        result.append(msgspec.structs.replace(each, changes=kept, outcome=outcome, reason=reason))
    return result


def _told(variation: Variation, changes: Changes) -> Exercise:
    outcome: StressOutcome = _FAILED if STATUS in changes else "differs" if changes else "same"
    return Exercise(
        name=variation.name,
        group=variation.group,
        what=variation.what,
        outcome=outcome,
        changes=tuple(Change(subject, summary) for subject, summary in changes.items()),
        remedy=variation.remedy if changes else "",
    )


def _left_out(variation: Variation, reason: str) -> Exercise:
    return Exercise(
        name=variation.name,
        group=variation.group,
        what=variation.what,
        outcome="not exercised",
        reason=reason,
    )
