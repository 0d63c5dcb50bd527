"""`stress`: re-run a recorded recipe under variations, and say what its result depends on."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec

from reproof.base import git
from reproof.base.files import remove_tree
from reproof.base.locations import cache_directory
from reproof.errors import ProjectError
from reproof.execute.select import Isolation
from reproof.model.event import Emit, silent
from reproof.model.stress import LEVELS, Exercise, Level, StressOutcome, StressReport
from reproof.project.settings import read_settings
from reproof.store.records import Found
from reproof.workflow.budget import Budget
from reproof.workflow.earlier_runs import require_kept
from reproof.workflow.fetch import fetch_content, places_of
from reproof.workflow.lanes import Lane, in_lanes
from reproof.workflow.lookup import find_record, is_served, place_of
from reproof.workflow.many import Hands
from reproof.workflow.room import Plan
from reproof.workflow.run import now
from reproof.workflow.trust import is_own
from reproof.workflow.variations import select


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
        hands: How many groups of variations at once, and where.
    """

    vary: str = "all"
    budget: str | None = None
    isolation: Isolation = "auto"
    timeout: float | None = None
    offline: bool = False
    stores: tuple[str, ...] = ()
    trust: bool = False
    hands: Hands = Hands()


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
        plan = plan_for(found, options, rooms if options.hands.cluster is None else None)
        done = in_lanes(Lane(plan=plan, vary=options.vary, budget=budget), wanted, options.hands, emit)
    finally:
        remove_tree(rooms)
    return StressReport(
        record=found.id,
        project=found.record.project.name,
        created=now(),
        level=_level(done.exercises),
        exercises=done.exercises,
        subjects=done.subjects,
        runs=done.runs,
        budget=budget.runs,
        conditions=(*done.conditions, *([("budget", budget.text)] if budget.text else ())),
        tool=f"reproof {version('reproof')}",
    )


def exit_status_of(report: StressReport, vary: str) -> int:
    """0 independent of all that was exercised, 1 it depends on something, 3 nothing of what was asked for was exercised.

    Args:
        report: What was found.
        vary: What was asked for, as on the command line.
    """
    if report.dependences:
        return 1
    asked = {each.name for each in select(vary)}
    tried = [each for each in report.exercises if each.outcome != "not exercised" and each.name in asked]
    return 0 if tried else 3


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


def plan_for(found: Found, options: StressOptions, rooms: Path | None) -> Plan:
    """What the rooms for re-runs of a record are made from.

    Args:
        found: The record.
        options: How to re-run it.
        rooms: The folder that they are made in; None for one of the machine that makes them.
    """
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
        served=is_served(found, place),
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
