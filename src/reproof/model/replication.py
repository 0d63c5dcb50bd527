"""The same recipe with other seeds: what was planned, what came out, and what may be said of it.

Replication is not reproduction: a replicate is meant to differ. Whether its result is *consistent* with the
recorded one is a question of statistics, and the words of a :class:`reproof.model.verdict.Verdict` are never
used for it.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

SCHEMA = "reproof/replication/1"
PLAN_SCHEMA = "reproof/replication-plan/1"

#: What is said of a replication, and of each metric.
ReplicationWord = Literal["consistent", "not consistent", "too few runs"]

#: `finished`: with the exit status of the recorded run; `failed`: with another one; `missing`: it
#: could not be carried out, or not yet.
ReplicateState = Literal["finished", "failed", "missing"]

_SEED_BITS = 31  # the largest that every library takes: some read a signed number of 32 bits


class ReplicationPlan(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="schema", tag=PLAN_SCHEMA
):
    """What is going to be run, written down before the first result.

    Attributes:
        created: When, ISO 8601 in UTC.
        records: Id of the record; with a comparison that of the other one, too.
        master: What the seeds are derived from; None where they were listed.
        seeds: In the order in which they are used; the same for both records.
        parameter: Parameter that takes the seed, besides what reproof seeds.
        metrics: Names on which the word rests; empty for all.
        confidence: Of all intervals and conclusions: 0.95.
        tool: Name and version of the program that planned.
    """

    created: str
    records: tuple[str, ...]
    master: int | None = None
    seeds: tuple[int, ...]
    parameter: str | None = None
    metrics: tuple[str, ...] = ()
    confidence: float = 0.95
    tool: str = ""

    @property
    def id(self) -> str:
        """Sha256 of all that is planned: the same words give the same plan, whenever they are said."""
        facts = msgspec.structs.replace(self, created="", tool="")
        return hashlib.sha256(msgspec.json.encode(facts, order="deterministic")).hexdigest()


class Replicate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run of the recipe with one seed.

    Attributes:
        seed: Its seed.
        state: How it went.
        record: Id of its own record; None where there is none.
        exit_status: Of the command.
        started: ISO 8601 in UTC.
        seconds: Wall time of the command.
        metrics: Last value of each metric, as `float.hex`, `nan`, `inf` or `-inf`.
        parameters: What the code logged, of its first run.
        problem: Why it is missing, or the last lines that a failed one wrote.
        isolation: How it was kept apart.
    """

    seed: int
    state: ReplicateState
    record: str | None = None
    exit_status: int | None = None
    started: str = ""
    seconds: float = 0.0
    metrics: dict[str, str] = {}
    parameters: dict[str, str] = {}
    problem: str | None = None
    isolation: str = ""


class Interval(msgspec.Struct, frozen=True):
    """From `low` to `high`, both included."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        """Whether `value` lies between them."""
        return self.low <= value <= self.high


class Spread(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One metric over the seeds.

    Attributes:
        metric: Its name; ``run-1/NAME`` in a further MLflow run of the same recipe.
        values: Seed and value of each finished run that logged it as a finite number.
        mean: Mean; `sd` the standard deviation (n - 1), `median` and `iqm` (the mean of the middle
            half) beside it. None without any value, `sd` also with one.
        interval: Bootstrap interval of the mean; `iqm_interval` that of `iqm`.
        original: What the recorded run logged; None where it did not, or no finite number.
        percentile: Percent of the values below the original, ties counted half.
        expected: Where one further run is expected: a prediction interval, corrected for the number of metrics.
        constant: All values are the same, bit for bit.
        missing: Seeds whose run finished without logging the metric.
        not_finite: Seeds whose run logged NaN or an infinity last.
        word: What may be said of it; None where the recorded run has no value to compare.
        reason: Why, for people; empty where it is consistent.
    """

    metric: str
    values: tuple[tuple[int, float], ...] = ()
    mean: float | None = None
    sd: float | None = None
    median: float | None = None
    iqm: float | None = None
    interval: Interval | None = None
    iqm_interval: Interval | None = None
    original: float | None = None
    percentile: float | None = None
    expected: Interval | None = None
    constant: bool = False
    missing: tuple[int, ...] = ()
    not_finite: tuple[int, ...] = ()
    word: ReplicationWord | None = None
    reason: str = ""


class Contrast(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One metric of two recipes, seed by seed: B less A.

    Attributes:
        metric: Its name.
        claim: What the two recorded runs say of B: ``lower``, ``higher``, or ``the same``.
        recorded: Difference of the recorded runs.
        differences: Seed and difference of each pair.
        mean: Mean difference; `interval` its bootstrap interval over the pairs.
        p_value: Of the paired t test, two-sided.
        probability: Probability that a run of B is on the claimed side of a run of A, ties counted
            half; `probability_interval` by bootstrap, stratified by recipe.
        seeds_needed: Pairs that would show a difference of this size with 80 % power; None where no
            number would, or the conclusion holds.
        word: ``consistent``: the claim holds at the confidence of the plan.
        reason: Why, for people.
    """

    metric: str
    claim: Literal["lower", "higher", "the same"]
    recorded: float
    differences: tuple[tuple[int, float], ...] = ()
    mean: float | None = None
    interval: Interval | None = None
    p_value: float | None = None
    probability: float | None = None
    probability_interval: Interval | None = None
    seeds_needed: int | None = None
    word: ReplicationWord
    reason: str = ""


class Arm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One recipe of a replication.

    Attributes:
        record: Id of its record.
        run_id: MLflow run of the record.
        label: ``A`` or ``B``.
        description: Entry point and parameters, or the command.
        replicates: One for each seed of the plan, in its order.
        spreads: One for each metric.
    """

    record: str
    run_id: str | None = None
    label: str = "A"
    description: str = ""
    replicates: tuple[Replicate, ...] = ()
    spreads: tuple[Spread, ...] = ()


class Replication(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="schema", tag=SCHEMA
):
    """The result of a replication.

    Attributes:
        id: Id of the plan.
        plan: The plan.
        project: Name of the project.
        created: When it was evaluated, ISO 8601 in UTC.
        word: What may be said; each of `reasons` is why it is no better.
        arms: The recipe, and the one that it is compared to.
        contrasts: One for each metric that both have, in a comparison.
        notes: What a reader should know besides: seeds that reach nothing, other plans.
        conditions: Under which the runs were made: name and value.
        tool: Name and version of the program that evaluated.
    """

    id: str
    plan: ReplicationPlan
    project: str = ""
    created: str = ""
    word: ReplicationWord
    reasons: tuple[str, ...] = ()
    arms: tuple[Arm, ...] = ()
    contrasts: tuple[Contrast, ...] = ()
    notes: tuple[str, ...] = ()
    conditions: tuple[tuple[str, str], ...] = ()
    tool: str = ""


def derive_seeds(master: int, count: int, leave_out: int | None = None) -> tuple[int, ...]:
    """The first `count` seeds that follow from `master`: all different, each below 2^31.

    Seed k is the beginning of the sha256 of ``MASTER:k``; what is there already is passed over. So a
    longer list begins with the shorter one.

    Args:
        master: The master seed.
        count: How many.
        leave_out: The recorded run's own seed, which would replicate nothing.
    """
    found: dict[int, None] = {}
    number = 0
    while len(found) < count:
        digest = hashlib.sha256(f"{master}:{number}".encode()).digest()
        seed = int.from_bytes(digest[:4], "big") >> (32 - _SEED_BITS)
        if seed != leave_out:
            found.setdefault(seed)
        number += 1
    return tuple(found)
