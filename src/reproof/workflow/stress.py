"""`stress`: re-run a recorded recipe under variations, and say what its result depends on."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

import msgspec

from reproof.base import git
from reproof.base.files import remove_tree
from reproof.base.locations import cache_directory
from reproof.errors import ProjectError
from reproof.execute.select import Isolation
from reproof.model.event import Emit, silent
from reproof.model.stress import LEVELS, Change, Exercise, Level, StressOutcome, StressReport
from reproof.project.settings import read_settings
from reproof.store.records import Found
from reproof.workflow.altering import Setting, Variation
from reproof.workflow.bench import STATUS, Bench, Changes
from reproof.workflow.budget import Budget, SpentError
from reproof.workflow.earlier_runs import require_kept
from reproof.workflow.fetch import fetch_content, places_of
from reproof.workflow.lookup import find_record, place_of
from reproof.workflow.room import Plan
from reproof.workflow.run import now
from reproof.workflow.trust import is_own
from reproof.workflow.variations import select

_FAILED: StressOutcome = "fails"


#: What changes under some variations.
Vary = Callable[[Sequence[Variation]], Changes]


class StressOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `stress` may be told.

    Attributes:
        vary: What is varied, as on the command line.
        budget: Re-runs at most, or a time, as on the command line; None for as many as it takes.
        isolation: How the runs are kept apart.
        timeout: Seconds for one run.
        offline: Take packages from the cache alone.
        stores: Further folders to look for content in.
        trust: Treat a record that was not made here as if it were.
    """

    vary: str = "all"
    budget: str | None = None
    isolation: Isolation = "auto"
    timeout: float | None = None
    offline: bool = False
    stores: tuple[str, ...] = ()
    trust: bool = False


def stress(reference: str, options: StressOptions, emit: Emit = silent) -> StressReport:
    """Re-run a recorded recipe under variations.

    First the same again; then all circumstances at once, which are told apart only where something
    changes; then one CPU, threads, instruction sets. What varies by itself is never blamed on a
    variation, and before anything is blamed the control is run once more.

    Args:
        reference: A run, as for `verify`, or the folder of a project, which stands for its newest.
        options: What to vary, and how often at most.
        emit: Told about the work.

    Raises:
        UsageError: An unknown variation.
        RecordError: There is no such record, or it cannot be trusted.
        ProjectError: The re-run does not end as the recorded run did: nothing can be varied then.
        MaterialError, EnvironmentBuildError, ExecutionError: It cannot be re-run.
    """
    wanted = select(options.vary)
    budget = Budget.parse(options.budget)
    found = open_run(reference)
    rooms = cache_directory() / "rooms" / f"stress-{secrets.token_hex(6)}"
    try:
        with ExitStack() as stack:
            bench = Bench(plan_for(found, options, rooms), stack, budget, emit)
            exercises, subjects = _exercise(bench, wanted)
            level = _level(exercises)
            return StressReport(
                record=found.id,
                project=found.record.project.name,
                created=now(),
                level=level,
                exercises=exercises,
                subjects=subjects,
                runs=bench.runs,
                budget=budget.runs,
                conditions=(*conditions_of(bench), *([("budget", budget.text)] if budget.text else ())),
                tool=f"reproof {version('reproof')}",
            )
    finally:
        remove_tree(rooms)


def exit_status_of(report: StressReport) -> int:
    """0 independent of all that was exercised, 1 it depends on something, 3 nothing was exercised."""
    if report.dependences:
        return 1
    return 0 if any(each.outcome == "same" for each in report.exercises) else 3


def open_run(reference: str) -> Found:
    """The record of a run, or of the newest run of a folder, that can be re-run.

    Raises:
        RecordError: There is no such record.
        ProjectError: It has not ended, or read what is not kept.
    """
    folder = Path(reference)
    found = find_record("last", folder) if folder.is_dir() else find_record(reference)
    if found.record.state == "unfinished":
        raise ProjectError("cannot re-run a run that has not ended", details=[("record", found.id[:12])])
    require_kept(found.record, place_of(found).store)
    return found


def plan_for(found: Found, options: StressOptions, rooms: Path) -> Plan:
    """What the rooms for re-runs of a record are made from; `rooms` is the folder that they are made in."""
    place = place_of(found)
    settings = read_settings(place.top / found.record.project.subdirectory, place.top)
    fetch_content(found.record, place.store, place.top, places_of(options.stores))
    return Plan(
        record=found.record,
        source=git.require_top(place.top),
        store=place.store,
        settings=settings,
        isolation=options.isolation,
        timeout=options.timeout,
        offline=options.offline,
        stores=places_of(options.stores),
        trust="own" if is_own(found.id) else "given" if options.trust else "none",
        cached=True,
        rooms=rooms,
    )


def _exercise(bench: Bench, wanted: Sequence[Variation]) -> tuple[tuple[Exercise, ...], tuple[str, ...]]:
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
        found += exercise_group(bench.vary, bench.setting, members)
    found = [_exercised(each, bench.inactive) for each in found]
    if any(each.outcome in ("differs", "fails") for each in found[1:]):
        found = _confirmed(bench, found)
    return tuple(found), subjects


def _repeat(bench: Bench) -> Exercise:
    (variation,) = select("repeat")
    try:
        return _told(variation, bench.repeat())
    except SpentError:
        return _left_out(variation, "the budget is spent")


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
    for blamed, changes in _culprits(vary, possible):
        names = tuple(each.name for each in blamed)
        for each in blamed:
            others = tuple(name for name in names if name != each.name)
            if changes is None:
                reason = (
                    "the budget is spent" if not others else f"one of {', '.join(names)}: the budget is spent"
                )
                found[each.name] = msgspec.structs.replace(_left_out(each, reason), outcome="unresolved")
            else:
                found[each.name] = msgspec.structs.replace(_told(each, changes), together_with=others)
    for each in possible:
        found.setdefault(each.name, _told(each, {}))
    return [found[each.name] for each in members]


def _culprits(vary: Vary, members: Sequence[Variation]) -> list[tuple[Sequence[Variation], Changes | None]]:
    """The smallest groups that change something, by halving; None where the budget was spent on the way."""
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
    parts = [*_culprits(vary, members[:half]), *_culprits(vary, members[half:])]
    return parts or [(members, changes)]


def _exercised(exercise: Exercise, inactive: Mapping[str, str]) -> Exercise:
    """What changed nothing because it had no effect was not exercised."""
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
    (variation,) = select("repeat")
    result = [_told(variation, {**{c.subject: c.summary for c in found[0].changes}, **late})]
    for each in found[1:]:
        kept = tuple(change for change in each.changes if change.subject not in late)
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


def _level(exercises: Sequence[Exercise]) -> Level | None:
    """The strongest level of which everything was exercised and changed nothing.

    A circumstance that cannot be exercised here does not hold the level back, as long as others were; it
    is named with the level. Of threads and instruction sets everything must have been exercised.
    """
    by_group: dict[str, list[StressOutcome]] = {}
    for each in exercises:
        by_group.setdefault(each.group, []).append(each.outcome)

    def passes(group: str) -> bool:
        outcomes = set(by_group.get(group, []))
        return (outcomes - {"not exercised"} if group == "circumstances" else outcomes) == {"same"}

    repeat = by_group["repeat"][0]
    if repeat == "not exercised":
        return None
    if repeat != "same":
        return LEVELS[0]
    steps = (("circumstances",), ("one-cpu", "threads"), ("isa",))
    reached = 1
    for step in steps:
        if not all(passes(group) for group in step):
            break
        reached += 1
    return LEVELS[reached]


def conditions_of(bench: Bench) -> tuple[tuple[str, str], ...]:
    """Under which conditions the re-runs of a bench were made: name and value."""
    chance, hardware = bench.plan.record.randomness, bench.plan.record.hardware
    return (
        ("isolation", bench.room.choice.level),
        ("seed", "none applied by reproof" if chance.seed is None else f"{chance.seed}, as recorded"),
        ("CPUs", str(hardware.affinity or hardware.cpus)),
        ("control", "run at least twice; what differs between them is not blamed on a variation"),
    )
