"""Statistics over seeds against computations of their own: by hand, by enumeration, and by simulation."""

from __future__ import annotations

import itertools
import math
import statistics
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from reproof.compare.statistics import (
    bootstrap,
    compare_pairs,
    expected_range,
    locate,
    percentile_of,
    probability_of_improvement,
    seeds_needed,
)

VALUES = [59.08, 58.73, 58.91, 59.34, 59.05, 58.82, 59.21, 59.0, 58.95, 59.15]


def resampled(values: list[float], statistic: object, confidence: float = 0.95) -> tuple[float, float]:
    """The percentile interval, by another generator and another way of drawing."""
    rng = np.random.Generator(np.random.MT19937(3))
    draws = np.asarray(values)[rng.integers(0, len(values), (200_000, len(values)))]
    found = statistic(draws)  # type: ignore[operator]
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def middle_half(draws: np.ndarray) -> np.ndarray:
    cut = draws.shape[-1] // 4
    return np.sort(draws, axis=-1)[..., cut : draws.shape[-1] - cut].mean(axis=-1)


def test_location_is_what_the_standard_library_says() -> None:
    found = locate(VALUES, 0.95, 1)
    assert found.mean == pytest.approx(statistics.fmean(VALUES), rel=1e-14)
    assert found.sd == pytest.approx(statistics.stdev(VALUES), rel=1e-12)
    assert found.median == statistics.median(VALUES)
    assert found.iqm == pytest.approx(statistics.fmean(sorted(VALUES)[2:-2]), rel=1e-14)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_intervals_match_an_independent_bootstrap(confidence: float) -> None:
    found = locate(VALUES, confidence, 1)
    for interval, statistic in (
        (found.interval, lambda draws: draws.mean(axis=-1)),
        (found.iqm_interval, middle_half),
    ):
        assert interval is not None
        low, high = resampled(VALUES, statistic, confidence)
        assert interval.low == pytest.approx(low, abs=0.05 * (high - low))
        assert interval.high == pytest.approx(high, abs=0.05 * (high - low))


def test_the_interval_of_few_values_is_that_of_all_resamples() -> None:
    values = [1.0, 2.0, 4.0, 8.0]
    means = [statistics.fmean(draw) for draw in itertools.product(values, repeat=4)]
    low, high = np.quantile(means, [0.05, 0.95])
    found = bootstrap([values], lambda sample, axis=-1: sample.mean(axis=axis), 0.9, 1)
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(low, abs=0.3), pytest.approx(high, abs=0.3))


def test_the_same_values_give_the_same_interval() -> None:
    assert locate(VALUES, 0.95, 7) == locate(VALUES, 0.95, 7)


def test_one_value_and_equal_values() -> None:
    alone = locate([3.0], 0.95, 1)
    assert (alone.mean, alone.sd, alone.median, alone.iqm, alone.interval) == (3.0, None, 3.0, 3.0, None)
    equal = locate([0.1] * 7, 0.95, 1)
    assert equal.interval is not None
    assert (equal.interval.low, equal.interval.high) == (equal.mean, equal.mean)


def test_percentile_counts_ties_half() -> None:
    assert percentile_of(2.0, [1.0, 2.0, 2.0, 3.0]) == 50
    assert percentile_of(0.0, VALUES) == 0
    assert percentile_of(99.0, VALUES) == 100


def test_the_expected_range_holds_one_more_value_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    inside = 0
    for _ in range(400):
        *values, new = rng.normal(10, 2, 9)
        found = expected_range(values, 0.9, 1)
        assert found is not None
        inside += new in found
    assert 0.86 < inside / 400 < 0.94


def test_the_expected_range_widens_with_the_number_of_metrics() -> None:
    one, many = expected_range(VALUES, 0.95, 1), expected_range(VALUES, 0.95, 20)
    assert one is not None
    assert many is not None
    assert many.low < one.low < one.high < many.high


def test_pairs_match_the_paired_t_test() -> None:
    other = [value + gap for value, gap in zip(VALUES, np.linspace(-0.3, 0.1, 10), strict=True)]
    gaps = [b - a for a, b in zip(VALUES, other, strict=True)]
    found = compare_pairs(gaps, 0.95, 1)
    assert found.p_value == pytest.approx(stats.ttest_rel(other, VALUES).pvalue, rel=1e-9)
    low, high = resampled(gaps, lambda draws: draws.mean(axis=-1))
    assert found.interval is not None
    assert found.interval.low == pytest.approx(low, abs=0.05 * (high - low))
    assert found.interval.high == pytest.approx(high, abs=0.05 * (high - low))


@pytest.mark.parametrize("effect", [0.4, 0.8, 1.5])
def test_the_seeds_needed_give_the_power_that_is_promised(effect: float) -> None:
    needed = seeds_needed(effect, 1.0, 0.95)
    assert needed is not None
    rng = np.random.default_rng(9)
    draws = rng.normal(effect, 1.0, (4000, needed))
    assert np.mean(stats.ttest_1samp(draws, 0.0, axis=1).pvalue < 0.05) == pytest.approx(0.8, abs=0.06)


def test_no_number_of_seeds_shows_what_is_not_there() -> None:
    assert seeds_needed(0.0, 1.0, 0.95) is None
    assert seeds_needed(1e-9, 1.0, 0.95) is None
    assert seeds_needed(1.0, 0.0, 0.95) == 5


def test_the_probability_of_improvement_is_that_of_all_pairs() -> None:
    ours, theirs = [1.0, 2.0, 2.0, 5.0], [2.0, 3.0, 0.5]
    pairs = list(itertools.product(ours, theirs))
    expected = sum((a < b) + (a == b) / 2 for a, b in pairs) / len(pairs)
    lower, interval = probability_of_improvement(ours, theirs, lower=True, confidence=0.95, seed=1)
    higher, _ = probability_of_improvement(ours, theirs, lower=False, confidence=0.95, seed=1)
    assert lower == pytest.approx(expected)
    assert higher == pytest.approx(1 - expected)
    assert interval is not None
    assert interval.low <= lower <= interval.high
    ranks = stats.mannwhitneyu(theirs, ours).statistic / len(pairs)
    assert lower == pytest.approx(ranks)


def test_hundreds_of_values_stay_in_memory() -> None:
    rng = np.random.default_rng(1)
    ours, theirs = list(rng.normal(0, 1, 150)), list(rng.normal(0.2, 1, 150))
    value, interval = probability_of_improvement(ours, theirs, lower=True, confidence=0.95, seed=1)
    assert interval is not None
    assert interval.low < value < interval.high
    assert math.isfinite(value)


def test_scipy_is_asked_for_with_a_command_that_helps() -> None:
    code = (
        "import sys; sys.modules['scipy'] = None\n"
        "from reproof.compare.statistics import require_library\n"
        "try: require_library()\n"
        "except Exception as error: print(type(error).__name__, error.message, error.hint, sep='|')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    kind, message, hint = done.stdout.strip().split("|")
    assert kind == "UsageError"
    assert "SciPy" in message
    assert hint == "run `pip install 'reproof[statistics]'`"
