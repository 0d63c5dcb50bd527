"""Statistics of results over seeds: location, spread, intervals, and whether one recipe beats another.

The interquartile mean, stratified bootstrap intervals and the probability of improvement are those of
Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice" (2021); that claims
about learning algorithms have to stand against the variance between seeds is argued by Bouthillier et
al., "Accounting for variance in machine learning benchmarks" (2021).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from reproof.errors import UsageError
from reproof.model.replication import Interval

#: Resamples of a bootstrap: enough for two digits of the ends of a 95 % interval.
RESAMPLES = 9999
#: Power at which the number of seeds needed is stated.
POWER = 0.8
#: Fewer runs than this decide nothing: a bootstrap interval of four values is no interval.
FEWEST = 5
_MOST_SEEDS = 100_000
_BATCH = 4_000_000  # numbers that a batch of resamples makes a statistic of: tens of megabytes

_Statistic = Callable[..., Any]


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """Where values lie: see the fields of the same names of :class:`reproof.model.replication.Spread`."""

    mean: float
    sd: float | None
    median: float
    iqm: float
    interval: Interval | None
    iqm_interval: Interval | None


class Paired(msgspec.Struct, frozen=True, kw_only=True):
    """How pairs differ: see :class:`reproof.model.replication.Contrast`."""

    mean: float
    interval: Interval | None
    p_value: float | None
    seeds_needed: int | None


def require_library() -> None:
    """Make sure that SciPy is here.

    Raises:
        UsageError: It is not; the hint says how to get it.
    """
    try:
        import scipy.stats  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "the statistics of `replicate` need SciPy, which is not installed",
            details=[("Python", sys.executable)],
            hint="run `pip install 'reproof[statistics]'`",
        ) from error


def locate(values: Sequence[float], confidence: float, seed: int) -> Location:
    """Location and spread of one metric over runs.

    Args:
        values: Finite numbers, at least one.
        confidence: Of the intervals.
        seed: Of the bootstrap: the same values give the same intervals.
    """
    import numpy as np
    from scipy import stats

    sample = np.asarray(values, dtype=np.float64)
    return Location(
        mean=float(sample.mean()),
        sd=float(sample.std(ddof=1)) if len(sample) > 1 else None,
        median=float(np.median(sample)),
        iqm=float(stats.trim_mean(sample, 0.25)),
        interval=bootstrap([values], _mean, confidence, seed),
        iqm_interval=bootstrap([values], _iqm, confidence, seed),
    )


def bootstrap(
    strata: Sequence[Sequence[float]], statistic: _Statistic, confidence: float, seed: int
) -> Interval | None:
    """Percentile interval of a statistic by the stratified bootstrap.

    Args:
        strata: Samples; each is drawn from on its own, with replacement.
        statistic: Takes the samples, and ``axis`` along which to work.
        confidence: Probability content of the interval.
        seed: Of the generator.

    Returns:
        The interval; None where a sample has fewer than two values.
    """
    import numpy as np
    from scipy import stats

    if any(len(sample) < 2 for sample in strata):
        return None
    arrays = [np.asarray(sample, dtype=np.float64) for sample in strata]
    if all(np.all(sample == sample[0]) for sample in arrays):
        value = float(statistic(*arrays, axis=-1))
        return Interval(value, value)
    found = stats.bootstrap(
        arrays,
        statistic,
        n_resamples=RESAMPLES,
        vectorized=True,
        batch=max(1, _BATCH // math.prod(map(len, strata))),
        confidence_level=confidence,
        method="percentile",
        **_generator(stats.bootstrap, seed),
    ).confidence_interval
    return Interval(float(found.low), float(found.high))


def percentile_of(value: float, values: Sequence[float]) -> float:
    """Percent of `values` below `value`, ties counted half."""
    below = sum(each < value for each in values)
    return 100 * (below + sum(each == value for each in values) / 2) / len(values)


def expected_range(values: Sequence[float], confidence: float, comparisons: int) -> Interval | None:
    """Where one further value of the same kind is expected: the prediction interval of Student's t.

    Args:
        values: Finite numbers.
        confidence: Probability that all of `comparisons` such values lie in their intervals (Sidak).
        comparisons: How many are looked at.

    Returns:
        The interval; None for fewer than two values.
    """
    import numpy as np
    from scipy import stats

    if len(values) < 2:
        return None
    sample = np.asarray(values, dtype=np.float64)
    each = 1 - confidence ** (1 / max(comparisons, 1))
    reach = float(stats.t.ppf(1 - each / 2, len(sample) - 1)) * float(sample.std(ddof=1))
    reach *= math.sqrt(1 + 1 / len(sample))
    middle = float(sample.mean())
    return Interval(middle - reach, middle + reach)


def compare_pairs(differences: Sequence[float], confidence: float, seed: int) -> Paired:
    """Whether pairs differ, and how many would be needed to show it.

    Args:
        differences: Of each pair; finite, at least one.
        confidence: Of interval and test.
        seed: Of the bootstrap.
    """
    import numpy as np
    from scipy import stats

    sample = np.asarray(differences, dtype=np.float64)
    mean = float(sample.mean())
    spread = float(sample.std(ddof=1)) if len(sample) > 1 else math.nan
    p_value: float | None = None
    if len(sample) > 1:
        reach = abs(mean) / (spread / math.sqrt(len(sample))) if spread else math.inf if mean else 0.0
        p_value = float(2 * stats.t.sf(reach, len(sample) - 1))
    return Paired(
        mean=mean,
        interval=bootstrap([differences], _mean, confidence, seed),
        p_value=p_value,
        seeds_needed=seeds_needed(mean, spread, confidence) if len(sample) > 1 else None,
    )


def seeds_needed(mean: float, sd: float, confidence: float) -> int | None:
    """Pairs with which a paired t test finds a true difference of `mean` with 80 % power.

    Args:
        mean: The difference.
        sd: Standard deviation of the differences.
        confidence: One less the level of the two-sided test.

    Returns:
        The number; None where it is over 100,000, or there is no difference to be found.
    """
    if not mean or not math.isfinite(mean / sd if sd else 0.0):
        return None
    if not sd:
        return FEWEST
    low, high = 2, _MOST_SEEDS
    if _power(mean / sd, high, confidence) < POWER:
        return None
    while low < high:
        middle = (low + high) // 2
        if _power(mean / sd, middle, confidence) < POWER:
            low = middle + 1
        else:
            high = middle
    return max(low, FEWEST)


def probability_of_improvement(
    ours: Sequence[float], theirs: Sequence[float], *, lower: bool, confidence: float, seed: int
) -> tuple[float, Interval | None]:
    """Probability that a run of `ours` is better than one of `theirs`, ties counted half.

    Args:
        ours: Values of the recipe that is said to be better.
        theirs: Values of the other.
        lower: Lower is better.
        confidence: Of the interval.
        seed: Of the bootstrap, which is stratified by recipe.
    """
    import numpy as np

    def improvement(one: Any, other: Any, axis: int = -1) -> Any:  # noqa: ARG001  # always the last
        gaps = one[..., :, None] - other[..., None, :]
        better = gaps < 0 if lower else gaps > 0
        return np.mean(better + (gaps == 0) / 2, axis=(-2, -1))

    value = float(improvement(np.asarray(ours), np.asarray(theirs)))
    return value, bootstrap([ours, theirs], improvement, confidence, seed)


def _mean(sample: Any, axis: int = -1) -> Any:
    return sample.mean(axis=axis)


def _iqm(sample: Any, axis: int = -1) -> Any:
    from scipy import stats

    return stats.trim_mean(sample, 0.25, axis=axis)


def _power(effect: float, pairs: int, confidence: float) -> float:
    """Power of the two-sided paired t test; the distant tail counts for nothing."""
    from scipy import stats

    critical = float(stats.t.ppf(1 - (1 - confidence) / 2, pairs - 1))
    reach = abs(effect) * math.sqrt(pairs)
    if reach > 30:  # the noncentral distribution is numerically lost there, and the power is 1
        return 1.0 if reach > critical + 10 else 0.0
    return float(stats.nct.sf(critical, pairs - 1, reach))


def _generator(function: Callable[..., Any], seed: int) -> dict[str, Any]:
    """The keyword by which this SciPy takes a generator: `rng` since 1.15, `random_state` before."""
    import inspect

    import numpy as np

    known = inspect.signature(function).parameters
    return {"rng" if "rng" in known else "random_state": np.random.default_rng(seed)}
