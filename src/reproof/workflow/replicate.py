"""`replicate`: the same recipe with other seeds, planned before the first result, and what may be said of it."""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec

from reproof.base import git
from reproof.base.files import remove_tree
from reproof.base.locations import cache_directory
from reproof.compare.statistics import require_library
from reproof.errors import ProjectError, ReproofError, UsageError
from reproof.execute.select import Isolation
from reproof.model.event import Emit, Event, silent
from reproof.model.replication import (
    Arm,
    Contrast,
    Replicate,
    Replication,
    ReplicationPlan,
    derive_seeds,
)
from reproof.project.settings import Settings, read_settings
from reproof.store.records import Found, RecordStore
from reproof.store.replications import ReplicationStore
from reproof.workflow.consistency import contrast_arms, decide, describe_arm, judged_metrics
from reproof.workflow.earlier_runs import require_kept
from reproof.workflow.fetch import fetch_content, places_of
from reproof.workflow.lookup import Place, find_record, is_served, place_of
from reproof.workflow.many import Batch, Hands, carry_out
from reproof.workflow.needs import Needs, largest, needs_of
from reproof.workflow.parcel import pack
from reproof.workflow.replication_log import ReplicationLog
from reproof.workflow.replication_notes import conditions_of, notes_of
from reproof.workflow.room import Plan
from reproof.workflow.run import now
from reproof.workflow.seeded import Trial, Tried, require_parameter, try_seed
from reproof.workflow.trail import Trail, open_trail
from reproof.workflow.trust import is_own

_EXIT = {"consistent": 0, "not consistent": 1, "too few runs": 3}
_LARGEST_SEED = 2**32 - 1


class ReplicateOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `replicate` may be told.

    Attributes:
        seeds: How many, or which.
        master: What the seeds are derived from; follows from the record where it is not given.
        against: Another run, replicated with the same seeds and compared.
        parameter: Parameter of the entry point that takes the seed, besides what reproof seeds.
        metrics: Names on which the word rests; empty for all.
        confidence: Of intervals and conclusions.
        hands: How many at once, and where.
        isolation: How the runs are kept apart.
        timeout: Seconds for one run.
        offline: Take packages from the cache alone.
        stores: Further folders to look for content in.
        log: Write to the MLflow store of the recorded run.
        trust: Treat records that were not made here as if they were.
    """

    seeds: int | tuple[int, ...]
    master: int | None = None
    against: str | None = None
    parameter: str | None = None
    metrics: tuple[str, ...] = ()
    confidence: float = 0.95
    hands: Hands = Hands()
    isolation: Isolation = "auto"
    timeout: float | None = None
    offline: bool = False
    stores: tuple[str, ...] = ()
    log: bool = True
    trust: bool = False


class _Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the recorded runs, with all that its replicates are made from."""

    found: Found
    place: Place
    settings: Settings
    recorded: dict[str, str]

    def plan(self, options: ReplicateOptions, rooms: Path) -> Plan:
        """What the rooms of its replicates are made from."""
        return Plan(
            record=self.found.record,
            source=git.require_top(self.place.top),
            store=self.place.store,
            settings=self.settings,
            isolation=options.isolation,
            timeout=options.timeout,
            offline=options.offline,
            stores=places_of(options.stores),
            trust="own" if is_own(self.found.id) else "given" if options.trust else "none",
            cached=True,
            # Workers elsewhere have places of their own.
            rooms=rooms if options.hands.cluster is None else None,
            served=is_served(self.found, self.place),
        )

    def needs(self, options: ReplicateOptions) -> Needs:
        """What one of its replicates occupies."""
        return needs_of(self.found.record, self.settings.resources, options.hands.resources)


def replicate(reference: str, options: ReplicateOptions, emit: Emit = silent) -> Replication:
    """Run a recorded recipe with other seeds, and say whether its result is consistent with theirs.

    Carried out again with the same words after being ended half-way, it goes on with the same plan.

    Args:
        reference: A run, as for `verify`, or the folder of a project, which stands for its newest.
        options: Seeds, what to compare with, who does the work.
        emit: Told about the work.

    Raises:
        UsageError: Fewer than two seeds, or what is asked for does not fit the run.
        RecordError: There is no such record, or it cannot be trusted.
        ProjectError: The recorded run did not finish, or logged no metric.
        MaterialError, EnvironmentBuildError: The runs cannot be made from the record.
        KeyboardInterrupt: Ctrl-C; what is finished is kept.
    """
    _require_sense(options)
    require_library()
    sides = [_open(reference, options)]
    if options.against is not None:
        sides.append(_open(options.against, options))
        _require_comparable(sides)
    first = sides[0]
    store = ReplicationStore(first.place.own)
    trail = open_trail(first.place.top, first.place.own, emit)
    plan = _planned(sides, options, store, trail, emit)
    log = _log(first, store, plan) if options.log else None
    if log is not None:
        log.begin(emit)
    missing = _carry_out(sides, plan, options, store, emit)
    replication = _evaluate(sides, plan, store, missing)
    trail.replicated(replication, emit)
    if log is not None:
        log.finish(replication, emit)
    return replication


def exit_status_of(replication: Replication) -> int:
    """0 consistent, 1 not consistent, 3 too few runs."""
    return _EXIT[replication.word]


def _require_sense(options: ReplicateOptions) -> None:
    seeds = options.seeds
    count = seeds if isinstance(seeds, int) else len(seeds)
    if count < 2:
        raise UsageError(
            "a replication needs at least two seeds",
            details=[("given", str(count))],
            hint="pass `--seeds 10`",
        )
    if isinstance(seeds, tuple):
        twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
        if twice:
            raise UsageError(f"the seed `{twice[0]}` is given twice: it would count twice")
        wrong = [seed for seed in seeds if not 0 <= seed <= _LARGEST_SEED]
        if wrong:
            raise UsageError(f"cannot use the seed `{wrong[0]}`: seeds are whole numbers from 0 to 2^32-1")
        if options.master is not None:
            raise UsageError("seeds that are listed are not derived from a master seed")


def _open(reference: str, options: ReplicateOptions) -> _Side:
    folder = Path(reference)
    found = find_record("last", folder) if folder.is_dir() else find_record(reference)
    if found.record.state != "finished":
        raise ProjectError(
            "cannot replicate a run that did not finish",
            details=[("record", found.id[:12]), ("state", found.record.state)],
            hint="`reproof list` shows those that did",
        )
    require_kept(found.record, place_of(found).store)
    if options.parameter is not None:
        require_parameter(found.record, options.parameter)
    place = place_of(found)
    settings = read_settings(place.top / found.record.project.subdirectory, place.top)
    recorded = judged_metrics(found.record, settings.policy, options.metrics)
    lost = [name for name in options.metrics if name not in recorded]
    if lost:
        known = judged_metrics(found.record, settings.policy, ())
        raise UsageError(
            f"the recorded run has no metric `{lost[0]}`",
            details=[
                ("record", found.id[:12]),
                ("known", ", ".join(f"`{each}`" for each in known) or "none"),
            ],
        )
    if not recorded:
        raise ProjectError(
            "cannot replicate a run that logged no metric: there is nothing to compare",
            details=[("record", found.id[:12])],
            hint="log one with `mlflow.log_metric`",
        )
    fetch_content(found.record, place.store, place.top, places_of(options.stores))
    return _Side(found=found, place=place, settings=settings, recorded=recorded)


def _require_comparable(sides: Sequence[_Side]) -> None:
    one, two = sides
    if one.found.id == two.found.id:
        raise UsageError(f"cannot compare the run `{one.found.id[:12]}` with itself")
    if not one.recorded.keys() & two.recorded.keys():
        raise UsageError(
            "the two runs have no metric in common",
            details=[(side.found.id[:12], ", ".join(side.recorded)) for side in sides],
        )


def _plan(sides: Sequence[_Side], options: ReplicateOptions) -> ReplicationPlan:
    """What is going to be run; without a master seed of the user's it follows from the record, so that none can be picked."""
    records = tuple(side.found.id for side in sides)
    master: int | None = None
    if isinstance(options.seeds, tuple):
        seeds = options.seeds
    else:
        master = options.master
        if master is None:
            master = int(hashlib.sha256(f"replicate {records[0]}".encode()).hexdigest()[:8], 16)
        seeds = derive_seeds(master, options.seeds, sides[0].found.record.randomness.seed)
    return ReplicationPlan(
        created=now(),
        records=records,
        master=master,
        seeds=seeds,
        parameter=options.parameter,
        metrics=options.metrics,
        confidence=options.confidence,
        tool=f"reproof {version('reproof')}",
    )


def _planned(
    sides: Sequence[_Side], options: ReplicateOptions, store: ReplicationStore, trail: Trail, emit: Emit
) -> ReplicationPlan:
    """The plan, written down here and in the project's log before there is any result."""
    plan = _plan(sides, options)
    if not store.has_plan(plan.id):
        trail.planned(plan, emit)
    return store.keep_plan(plan)


def _log(side: _Side, store: ReplicationStore, plan: ReplicationPlan) -> ReplicationLog | None:
    """Where the recorded run is in MLflow, its replicates go, too."""
    facts = RecordStore(side.place.own).read_tracking(side.found.id)
    if not facts or not facts.get("uri") or not facts.get("run_id"):
        return None
    section = side.found.record.project
    return ReplicationLog(
        facts=facts,
        store=store,
        top=side.place.top,
        own=side.place.own,
        plan=plan,
        name=f"replicate {section.run_name or section.name}",
    )


def _carry_out(
    sides: Sequence[_Side],
    plan: ReplicationPlan,
    options: ReplicateOptions,
    store: ReplicationStore,
    emit: Emit,
) -> dict[tuple[str, int], str]:
    """Run what was not run before.

    Returns:
        Why runs are missing, by record and seed.
    """
    rooms = cache_directory() / "rooms" / f"replicate-{secrets.token_hex(6)}"
    trials = {
        f"{side.found.id[:12]} with seed {seed}": (side, seed)
        for seed in plan.seeds
        for side in sides
        if store.result(side.found.id, plan.parameter, seed) is None
    }
    plans, luggage = _plans({side.found.id: side for side, _ in trials.values()}, options, rooms, emit)
    missing: dict[tuple[str, int], str] = {}

    def told(name: str, result: Tried | ReproofError) -> None:
        side, seed = trials[name]
        if isinstance(result, ReproofError):
            missing[side.found.id, seed] = result.message
            emit(
                Event(
                    kind="warning", subject="re-runs", message=f"{name}: {result.message}", hint=result.hint
                )
            )
            return
        for warning in result.warnings:
            emit(warning)
        store.keep(side.found.id, plan.parameter, result.replicate, result.evidence)

    tasks = {
        name: Trial(plan=plans[side.found.id], seed=seed, parameter=plan.parameter)
        for name, (side, seed) in trials.items()
    }
    try:
        carry_out(
            Batch(
                tasks=tasks,
                work=try_seed,
                told=told,
                title="re-running with other seeds",
                total=len(plan.seeds) * len(sides),
                needs=largest([side.needs(options) for side in sides]),
                luggage=luggage,
            ),
            options.hands,
            emit,
        )
    finally:
        remove_tree(rooms)
    return missing


def _plans(
    sides: dict[str, _Side], options: ReplicateOptions, rooms: Path, emit: Emit
) -> tuple[dict[str, Plan], dict[str, bytes]]:
    """What the rooms are made from, by record, and the content that has to travel for it."""
    plans = {record: side.plan(options, rooms) for record, side in sides.items()}
    if options.hands.cluster is None:
        return plans, {}
    packed = {record: pack(plan, emit) for record, plan in plans.items()}
    luggage = {digest: content for each in packed.values() for digest, content in each.luggage.items()}
    return {record: each.plan for record, each in packed.items()}, luggage


def _evaluate(
    sides: Sequence[_Side],
    plan: ReplicationPlan,
    store: ReplicationStore,
    missing: dict[tuple[str, int], str],
) -> Replication:
    arms = tuple(_arm(side, label, plan, store, missing) for side, label in zip(sides, "AB", strict=False))
    contrasts: tuple[Contrast, ...] = ()
    if len(arms) == 2:
        contrasts = contrast_arms((arms[0], arms[1]), (sides[0].recorded, sides[1].recorded), plan)
    word, reasons = decide(arms, contrasts)
    records = [side.found.record for side in sides]
    return Replication(
        id=plan.id,
        plan=plan,
        project=records[0].project.name,
        created=now(),
        word=word,
        reasons=reasons,
        arms=arms,
        contrasts=contrasts,
        notes=notes_of(arms, records, plan, store),
        conditions=conditions_of(arms, records[0], plan),
        tool=f"reproof {version('reproof')}",
    )


def _arm(
    side: _Side,
    label: str,
    plan: ReplicationPlan,
    store: ReplicationStore,
    missing: dict[tuple[str, int], str],
) -> Arm:
    found, section = side.found, side.found.record.project
    replicates = []
    for seed in plan.seeds:
        known = store.result(found.id, plan.parameter, seed)
        reason = missing.get((found.id, seed), "not run yet")
        replicates.append(known or Replicate(seed=seed, state="missing", problem=reason))
    words = [section.entry_point or section.command]
    words += [f"{name}={value}" for name, value in section.parameters.items()]
    arm = Arm(
        record=found.id,
        run_id=found.run_id,
        label=label,
        description=" ".join(words),
        replicates=tuple(replicates),
    )
    spreads = describe_arm(arm, side.recorded, plan, side.settings.policy)
    return msgspec.structs.replace(arm, spreads=spreads)


def is_confidence(value: float) -> bool:
    """Whether `value` can be a confidence: between one half and one."""
    return math.isfinite(value) and 0.5 <= value < 1
