"""What is said of runs with other seeds: consistent, not consistent, or too few."""

from __future__ import annotations

import numpy as np
import pytest

from minimal import minimal_record
from reproof.model.policy import Policy, Rule
from reproof.model.record import (
    Metric,
    Record,
)
from reproof.model.replication import Arm, Replicate, ReplicationPlan
from reproof.workflow.consistency import contrast_arms, decide, describe_arm, judged_metrics

SEEDS = tuple(range(100, 110))
PLAN = ReplicationPlan(created="2026-01-01T00:00:00Z", records=("a" * 64,), seeds=SEEDS)
NOISE = dict(zip(SEEDS, np.random.default_rng(2).normal(0, 1, 10), strict=True))


def arm(label: str = "A", **values: list[float | None]) -> Arm:
    """Ten runs; a metric is not logged where its value is None."""
    count = len(next(iter(values.values())))
    return Arm(
        record=label * 64,
        label=label,
        replicates=tuple(
            Replicate(
                seed=seed,
                state="finished",
                metrics={
                    name: float(column[index]).hex()
                    for name, column in values.items()
                    if column[index] is not None
                },
            )
            for index, seed in enumerate(SEEDS[:count])
        ),
    )


def spread_of(values: list[float | None], recorded: float):
    (found,) = describe_arm(arm(m=values), {"m": recorded.hex()}, PLAN, Policy())
    return found


def noisy(shift: float = 0.0) -> list[float | None]:
    return [10 + shift + value for value in NOISE.values()]


def test_a_recorded_value_among_the_others_is_consistent() -> None:
    found = spread_of(noisy(), 10.3)
    assert (found.word, found.reason, found.constant) == ("consistent", "", False)
    assert found.percentile is not None
    assert 0 < found.percentile < 100


@pytest.mark.parametrize(("recorded", "side"), [(16.0, "above"), (4.0, "below")])
def test_a_lucky_recorded_value_is_not(recorded: float, side: str) -> None:
    found = spread_of(noisy(), recorded)
    assert found.word == "not consistent"
    assert side in found.reason


def test_four_runs_are_too_few() -> None:
    assert spread_of(noisy()[:4], 10.0).word == "too few runs"
    assert spread_of(noisy()[:5], 10.0).word == "consistent"


def test_a_constant_metric_is_consistent_with_itself_alone() -> None:
    same, other = spread_of([0.1] * 10, 0.1), spread_of([0.1] * 10, 0.1 + 2**-54)
    assert (same.word, same.constant) == ("consistent", True)
    assert (other.word, other.constant) == ("not consistent", True)


def test_a_metric_that_some_did_not_log_is_not_consistent_and_says_with_which_seeds() -> None:
    found = spread_of([None, *noisy()[1:8], float("nan"), float("inf")], 10.0)
    assert (found.missing, found.not_finite) == ((100,), (108, 109))
    assert len(found.values) == 7
    assert found.mean == pytest.approx(np.mean(noisy()[1:8]))
    assert (found.word, found.reason) == ("not consistent", "not logged with seed 100")
    assert spread_of([*noisy()[:9], float("nan")], 10.0).reason == "not a finite number with seed 109"


def test_what_cannot_be_compared_is_not_judged() -> None:
    assert spread_of(noisy(), float("nan")).word is None
    (found,) = describe_arm(arm(new=noisy()), {}, PLAN, Policy())
    assert (found.word, found.reason) == (None, "the recorded run did not log it")


def test_many_metrics_give_no_more_false_alarms_than_one() -> None:
    """Forty sound metrics, two hundred times: all of them consistent in about 95 %."""
    rng = np.random.default_rng(11)
    sound = 0
    for _ in range(60):
        columns = {f"m{index}": list(rng.normal(0, 1, 10)) for index in range(20)}
        recorded = {name: float(rng.normal(0, 1)).hex() for name in columns}
        sound += all(
            each.word == "consistent" for each in describe_arm(arm(**columns), recorded, PLAN, Policy())
        )
    assert sound >= 50


def contrast(two: list[float | None], recorded: float, one: list[float | None] | None = None):
    arms = arm("A", m=one or noisy()), arm("B", m=two)
    (found,) = contrast_arms(arms, ({"m": (10.0).hex()}, {"m": (10.0 + recorded).hex()}), PLAN)
    return found


def test_a_real_improvement_is_found() -> None:
    jitter = np.random.default_rng(4).normal(0, 0.3, 10)
    found = contrast([value - 0.8 + noise for value, noise in zip(noisy(), jitter, strict=True)], -0.5)
    assert (found.claim, found.word, found.reason) == ("lower", "consistent", "")
    assert found.interval is not None
    assert found.interval.high < 0
    assert found.probability is not None
    assert found.probability > 0.6
    assert found.seeds_needed is None


def test_a_useless_change_is_not_consistent_and_says_how_many_seeds_it_would_take() -> None:
    jitter = np.random.default_rng(4).normal(0, 0.5, 10)
    found = contrast([value + noise for value, noise in zip(noisy(), jitter, strict=True)], -0.7)
    assert found.word == "not consistent"
    assert found.reason == "B is not shown to be lower than A"
    assert (found.seeds_needed is None) == (found.mean >= 0)
    again = contrast(
        [value - 0.05 + noise for value, noise in zip(noisy(), jitter - jitter.mean(), strict=True)], -0.7
    )
    assert again.seeds_needed is not None
    assert again.seeds_needed > 10


def test_a_change_for_the_worse_is_named() -> None:
    found = contrast([value + 2 for value in noisy()], -0.7)
    assert (found.word, found.reason) == (
        "not consistent",
        "B is higher than A, against what the recorded runs say",
    )
    assert found.seeds_needed is None


def test_equal_recorded_values_claim_that_nothing_changed() -> None:
    assert contrast(noisy(), 0.0).word == "consistent"
    assert contrast(noisy(1.0), 0.0).reason == "B is higher than A, though the recorded runs are the same"


def test_only_seeds_that_both_have_are_pairs() -> None:
    found = contrast([None, None, *noisy()[2:]], -1.0, [*noisy()[:9], None])
    assert [seed for seed, _ in found.differences] == list(SEEDS[2:9])
    assert contrast([*[None] * 6, *noisy()[6:]], -1.0).word == "too few runs"


def test_useless_changes_pass_for_improvements_as_rarely_as_promised() -> None:
    rng = np.random.default_rng(8)
    fooled = 0
    for _ in range(100):
        one, two = list(rng.normal(0, 1, 10)), list(rng.normal(0, 1, 10))
        fooled += contrast(two, -0.1, one).word == "consistent"
    assert fooled <= 8  # 2.5 in a hundred are expected: half of the level lies on the claimed side


def state(name: str, count: int) -> tuple[Replicate, ...]:
    return tuple(Replicate(seed=seed, state=name, problem="no") for seed in range(count))


def test_the_word_of_all_and_its_reasons() -> None:
    good = arm(m=noisy())
    spreads = describe_arm(good, {"m": (10.0).hex()}, PLAN, Policy())
    whole = Arm(record="a", replicates=good.replicates, spreads=spreads)
    assert decide([whole], []) == ("consistent", ())
    missing = Arm(record="a", replicates=(*good.replicates, *state("missing", 2)), spreads=spreads)
    assert decide([missing], []) == ("too few runs", ("2 of 12 planned runs are missing",))
    failed = Arm(record="a", replicates=(*good.replicates, *state("failed", 1)), spreads=spreads)
    assert decide([failed], []) == ("not consistent", ("1 of 11 runs failed, the recorded one did not",))
    lost = Arm(record="a", replicates=state("failed", 5))
    assert decide([lost], []) == ("not consistent", ("all runs failed, the recorded one did not",))


def record(*names: str) -> Record:
    return minimal_record(
        metrics=tuple(Metric(key=name, value="0x1.0p+0") for name in names),
    )


def test_metrics_of_the_machine_and_ignored_ones_are_left_out_unless_they_are_wanted() -> None:
    policy = Policy(rules=(Rule(pattern="metric:seconds", ignore="a time"),))
    it = record("loss", "seconds", "system/cpu")
    assert list(judged_metrics(it, policy, ())) == ["loss"]
    assert list(judged_metrics(it, policy, ("seconds",))) == ["seconds"]
