"""What a reader of a replication should know besides the numbers: seeds that reach nothing, other plans, conditions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from reproof.compare.statistics import FEWEST
from reproof.model.record import Record
from reproof.model.replication import Arm, ReplicationPlan
from reproof.store.replications import ReplicationStore

_SHOWN = 4
_SEED_WORDS = ("seed", "random_state")


def notes_of(
    arms: Sequence[Arm], records: Sequence[Record], plan: ReplicationPlan, store: ReplicationStore
) -> tuple[str, ...]:
    """Lines for people, the most important first."""
    lines = [line for arm, record in zip(arms, records, strict=True) for line in _constant(arm, record, plan)]
    lines += [line for arm in arms for line in _extreme(arm, plan)]
    return tuple(dict.fromkeys([*lines, *_other_plans(plan, store)]))


def _extreme(arm: Arm, plan: ReplicationPlan) -> Iterator[str]:
    """Recorded values beyond those of all runs: not impossible, and still not what to quote."""
    beyond = [
        spread.metric
        for spread in arm.spreads
        if spread.percentile in (0, 100) and not spread.constant and len(spread.values) >= FEWEST
    ]
    if beyond:
        who = f"{arm.label}: " if len(plan.records) > 1 else ""
        yield (
            f"{who}the recorded run lies beyond all others in {_names(beyond)}: "
            "quote the mean and its interval rather than the recorded value"
        )


def _names(metrics: Sequence[str]) -> str:
    more = f" and {len(metrics) - _SHOWN} more" if len(metrics) > _SHOWN else ""
    return ", ".join(f"`{name}`" for name in metrics[:_SHOWN]) + more


def _constant(arm: Arm, record: Record, plan: ReplicationPlan) -> Iterator[str]:
    """Metrics that no seed moves."""
    judged = [spread for spread in arm.spreads if len(spread.values) > 1]
    constant = [spread.metric for spread in judged if spread.constant]
    if not constant:
        return
    who = f"{arm.label}: " if len(plan.records) > 1 else ""
    if len(constant) < len(judged):
        yield f"{who}the seed does not reach {_names(constant)}: the same with every seed"
        return
    yield f"{who}the seed does not reach the model: every metric is the same with all {len(plan.seeds)} seeds"
    fixed = [draw for draw in record.randomness.seeded if draw.where]
    if fixed:
        places = ", ".join(f"{draw.what} at {draw.where}" for draw in fixed[:_SHOWN])
        yield f"{who}the code sets seeds itself: {places}"
    if plan.parameter is None:
        takes = [
            name for name in record.project.parameters if any(word in name.lower() for word in _SEED_WORDS)
        ]
        hint = f"`--seed-parameter {takes[0]}`" if takes else "`--seed-parameter NAME`"
        yield f"{who}if a parameter of the entry point sets the seed, pass {hint}"


def _other_plans(plan: ReplicationPlan, store: ReplicationStore) -> Iterator[str]:
    """Whoever plans twice may have looked in between: a reader must know."""
    others = [
        each
        for record in plan.records
        for each in store.plans(record)
        if each.id != plan.id and each.created < plan.created
    ]
    unique = list({each.id: each for each in others}.values())
    if not unique:
        return
    counts = ", ".join(str(len(each.seeds)) for each in unique[:_SHOWN])
    shared = sum(seed in {s for each in unique for s in each.seeds} for seed in plan.seeds)
    count = "1 plan was" if len(unique) == 1 else f"{len(unique)} plans were"
    yield (
        f"{count} made for this before ({counts} seeds), {shared} of the {len(plan.seeds)} seeds "
        "are among theirs: results may have been known when this one was made"
    )


def conditions_of(arms: Sequence[Arm], record: Record, plan: ReplicationPlan) -> tuple[tuple[str, str], ...]:
    """Under which the runs were made."""
    levels = Counter(each.isolation for arm in arms for each in arm.replicates if each.isolation)
    lock = record.environment.lock
    made = "the user's own" if lock is None else f"made from `{lock.source}`, cached and checked"
    applied = f"the parameter `{plan.parameter}`, and " if plan.parameter else ""
    applied += "PYTHONHASHSEED and the generators that reproof seeds"
    derived = f"derived from the master seed {plan.master}" if plan.master is not None else "as listed"
    return (
        ("planned", plan.created),
        ("seeds", f"{len(plan.seeds)}, {derived}"),
        ("applied to", applied),
        ("isolation", ", ".join(f"{level} ({count})" for level, count in levels.items()) or "none was run"),
        ("environment", made),
        ("confidence", f"{100 * plan.confidence:g} %"),
    )
