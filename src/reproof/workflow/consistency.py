"""From runs with other seeds to a word: statistics of each metric, and what may be said of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from reproof.compare.metrics import last_values, number_of
from reproof.compare.statistics import (
    FEWEST,
    compare_pairs,
    expected_range,
    locate,
    percentile_of,
    probability_of_improvement,
)
from reproof.model.policy import Policy
from reproof.model.record import Record
from reproof.model.replication import (
    Arm,
    Contrast,
    Replicate,
    ReplicationPlan,
    ReplicationWord,
    Spread,
)

#: Written by MLflow itself about the machine; never the same twice.
_OF_THE_MACHINE = "system/"
_SHOWN = 5  # seeds that a reason names

_Values = dict[str, dict[int, float]]


def judged_metrics(record: Record, policy: Policy, wanted: Sequence[str]) -> dict[str, str]:
    """The last values of the metrics of a record that are looked at.

    Left out: what MLflow logs about the machine, and what the project's rules ignore, unless it is
    wanted by name.
    """
    return {
        name: value
        for name, value in last_values(record.metrics).items()
        if name in wanted
        or not (
            wanted or name.startswith(_OF_THE_MACHINE) or policy.rule_for(f"metric:{name}").ignore is not None
        )
    }


def describe_arm(
    arm: Arm, recorded: Mapping[str, str], plan: ReplicationPlan, policy: Policy
) -> tuple[Spread, ...]:
    """Each metric of a recipe over its seeds.

    Args:
        arm: Its replicates; spreads are not looked at.
        recorded: Last values of the recorded run, from :func:`judged_metrics`.
        plan: Confidence, and the metrics that count.
        policy: Rules of the project: what they ignore is left out.
    """
    finished = [each for each in arm.replicates if each.state == "finished"]
    names = dict.fromkeys((*recorded, *_more_names(finished, plan, policy)))
    values = {name: _finite(finished, name) for name in names}
    varying = sum(len(set(found.values())) > 1 for found in values.values())
    return tuple(
        _spread(name, values[name], recorded.get(name), finished, _Scale(plan, max(varying, 1)))
        for name in names
    )


class _Scale(msgspec.Struct, frozen=True):
    """How strictly a value is judged: the plan, and how many metrics are judged at once."""

    plan: ReplicationPlan
    comparisons: int

    @property
    def seed(self) -> int:
        """Of all bootstraps: the same plan and results give the same intervals."""
        return int(self.plan.id[:8], 16)


def _more_names(finished: Sequence[Replicate], plan: ReplicationPlan, policy: Policy) -> Iterable[str]:
    """Metrics that only the replicates logged."""
    for each in finished:
        for name in each.metrics:
            ignored = policy.rule_for(f"metric:{name}").ignore is not None
            if not plan.metrics and not ignored and not name.startswith(_OF_THE_MACHINE):
                yield name


def _finite(replicates: Iterable[Replicate], name: str) -> dict[int, float]:
    found = {each.seed: number_of(each.metrics[name]) for each in replicates if name in each.metrics}
    return {seed: value for seed, value in found.items() if math.isfinite(value)}


def _spread(
    name: str, values: dict[int, float], recorded: str | None, finished: Sequence[Replicate], scale: _Scale
) -> Spread:
    missing = tuple(each.seed for each in finished if name not in each.metrics)
    not_finite = tuple(each.seed for each in finished if each.seed not in values and name in each.metrics)
    original = number_of(recorded) if recorded is not None else None
    if original is not None and not math.isfinite(original):
        original = None
    spread = Spread(
        metric=name, values=tuple(values.items()), original=original, missing=missing, not_finite=not_finite
    )
    numbers = list(values.values())
    if numbers:
        location = locate(numbers, scale.plan.confidence, scale.seed)
        spread = msgspec.structs.replace(
            spread,
            **msgspec.structs.asdict(location),
            constant=len(numbers) > 1 and len(set(numbers)) == 1,
            percentile=percentile_of(original, numbers) if original is not None else None,
            expected=expected_range(numbers, scale.plan.confidence, scale.comparisons),
        )
    word, reason = _judge_spread(spread, recorded, len(finished))
    return msgspec.structs.replace(spread, word=word, reason=reason)


def _judge_spread(spread: Spread, recorded: str | None, finished: int) -> tuple[ReplicationWord | None, str]:
    if recorded is None:
        return None, "the recorded run did not log it"
    if finished < FEWEST:
        return "too few runs", f"{finished} finished, and {FEWEST} are the fewest that decide"
    if spread.missing:
        return "not consistent", f"not logged with {_seeds(spread.missing)}"
    if spread.original is None:
        return None, f"the recorded value is no finite number ({recorded})"
    if spread.not_finite:
        return "not consistent", f"not a finite number with {_seeds(spread.not_finite)}"
    assert spread.expected is not None
    if spread.constant:
        (_, value) = spread.values[0]
        same = value == spread.original
        return ("consistent", "") if same else ("not consistent", f"always {value!r} with other seeds")
    if spread.original in spread.expected:
        return "consistent", ""
    side = "above" if spread.original > spread.expected.high else "below"
    return "not consistent", f"the recorded value lies {side} what runs with other seeds give"


def _seeds(seeds: Sequence[int]) -> str:
    shown = ", ".join(map(str, seeds[:_SHOWN])) + (" ..." if len(seeds) > _SHOWN else "")
    return f"seed {shown}" if len(seeds) == 1 else f"{len(seeds)} seeds: {shown}"


def contrast_arms(
    arms: tuple[Arm, Arm], recorded: tuple[Mapping[str, str], Mapping[str, str]], plan: ReplicationPlan
) -> tuple[Contrast, ...]:
    """Each metric that both recorded runs have: does what they say of each other hold over the seeds?"""
    shared = [name for name in recorded[0] if name in recorded[1]]
    found = []
    for name in shared:
        before, after = (number_of(each[name]) for each in recorded)
        if math.isfinite(before) and math.isfinite(after):
            found.append(_contrast(name, after - before, arms, plan))
    return tuple(found)


def _contrast(name: str, recorded: float, arms: tuple[Arm, Arm], plan: ReplicationPlan) -> Contrast:
    """What the pairs of seeds say of one metric; too few of them decide nothing, and are shown all the same."""
    claim: Literal["lower", "higher", "the same"] = (
        "lower" if recorded < 0 else "higher" if recorded > 0 else "the same"
    )
    one, two = (_finite((e for e in arm.replicates if e.state == "finished"), name) for arm in arms)
    differences = {seed: two[seed] - one[seed] for seed in plan.seeds if seed in one and seed in two}
    contrast = Contrast(
        metric=name,
        claim=claim,
        recorded=recorded,
        differences=tuple(differences.items()),
        word="too few runs",
        reason=f"{len(differences)} pairs, and {FEWEST} are the fewest that decide",
    )
    if not differences:
        return contrast
    seed = _Scale(plan, 1).seed
    paired = compare_pairs(list(differences.values()), plan.confidence, seed)
    probability, interval = None, None
    if claim != "the same":
        probability, interval = probability_of_improvement(
            list(two.values()),
            list(one.values()),
            lower=claim == "lower",
            confidence=plan.confidence,
            seed=seed,
        )
    contrast = msgspec.structs.replace(
        contrast,
        mean=paired.mean,
        interval=paired.interval,
        p_value=paired.p_value,
        probability=probability,
        probability_interval=interval,
    )
    if len(differences) < FEWEST:
        return contrast
    word, reason = _judge_contrast(contrast, 1 - plan.confidence)
    open_question = word != "consistent" and paired.mean * recorded > 0
    needed = paired.seeds_needed if open_question else None
    return msgspec.structs.replace(contrast, word=word, reason=reason, seeds_needed=needed)


def _judge_contrast(contrast: Contrast, level: float) -> tuple[ReplicationWord, str]:
    """The claim holds if the interval leaves out zero on the claimed side, and the t test agrees."""
    assert contrast.mean is not None
    assert contrast.p_value is not None
    assert contrast.interval is not None
    apart = 0.0 not in contrast.interval and contrast.p_value < level
    found = "the same" if not apart else "lower" if contrast.mean < 0 else "higher"
    if found == contrast.claim:
        return "consistent", ""
    if found == "the same":
        return "not consistent", f"B is not shown to be {contrast.claim} than A"
    if contrast.claim == "the same":
        return "not consistent", f"B is {found} than A, though the recorded runs are the same"
    return "not consistent", f"B is {found} than A, against what the recorded runs say"


def decide(arms: Sequence[Arm], contrasts: Sequence[Contrast]) -> tuple[ReplicationWord, tuple[str, ...]]:
    """The word for all of it, and why it is no better.

    A plan that is not carried out to its end decides nothing, and a seed with which the command fails
    is a result that is not consistent.
    """
    replicates = [each for arm in arms for each in arm.replicates]
    states = [each.state for each in replicates]
    missing, failed = states.count("missing"), states.count("failed")
    judged: Sequence[Spread | Contrast] = contrasts or [each for arm in arms for each in arm.spreads]
    reasons = []
    if missing:
        reasons.append(f"{missing} of {len(states)} planned runs are missing")
    if failed:
        which = "all" if failed == len(states) else f"{failed} of {len(states)}"
        reasons.append(f"{which} runs failed, the recorded one did not")
    reasons += [
        f"{each.metric}: {each.reason}"
        for word in ("not consistent", "too few runs")
        for each in judged
        if each.word == word
    ]
    words = {each.word for each in judged}
    if missing:
        return "too few runs", tuple(reasons)
    if failed or "not consistent" in words:
        return "not consistent", tuple(reasons)
    if "consistent" not in words or "too few runs" in words:
        return "too few runs", tuple(reasons or ["no metric could be judged"])
    return "consistent", tuple(reasons)
