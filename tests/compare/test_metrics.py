from __future__ import annotations

import pytest

from reproof.compare.metrics import compare_metrics, compare_parameters, number_of
from reproof.model.difference import Difference, Outcome
from reproof.model.policy import Policy, Rule, Tolerance
from reproof.model.record import Metric, Parameter


def series(*values: float | str, key: str = "rmse", run: int = 0) -> list[Metric]:
    texts = [value if isinstance(value, str) else value.hex() for value in values]
    return [Metric(run=run, key=key, step=step, value=text) for step, text in enumerate(texts)]


def only(found: list[Difference]) -> Difference:
    assert len(found) == 1
    return found[0]


def test_the_same_value_is_identical() -> None:
    found = only(compare_metrics(series(0.1), series(0.1)))
    assert (found.subject, found.outcome, found.summary) == ("metric:rmse", Outcome.IDENTICAL, "0.1")


def test_another_value_is_different_with_its_distance() -> None:
    found = only(compare_metrics(series(0.5), series(0.5 + 2**-53)))
    assert found.outcome is Outcome.DIFFERENT
    assert found.summary == "0.5 -> 0.5000000000000001 (1 ulp, relative 2.22e-16)"
    assert (found.expected, found.actual, found.evidence["ulp"]) == ("0.5", "0.5000000000000001", 1)


def test_steps_are_named_and_counted() -> None:
    found = only(compare_metrics(series(3.0, 2.0, 1.0), series(3.0, 2.5, 1.0)))
    assert found.outcome is Outcome.DIFFERENT
    assert [part.subject for part in found.children] == ["metric:rmse@step 1"]
    assert found.summary == "1 of 3 values differ, largest relative difference 0.2"
    assert found.evidence["largest_absolute"] == 0.5


def test_missing_and_extra_steps() -> None:
    found = only(compare_metrics(series(3.0, 2.0), series(3.0)))
    assert found.summary == "1 of 2 values differ, 1 missing"
    assert found.children[0].summary == "missing; it was 2.0"
    found = only(compare_metrics(series(3.0), series(3.0, 2.0)))
    assert found.summary == "1 of 2 values differ, 1 extra"


def test_the_same_value_at_another_step_is_different() -> None:
    found = only(
        compare_metrics([Metric(key="a", step=1, value="0x1p0")], [Metric(key="a", step=2, value="0x1p0")])
    )
    assert found.outcome is Outcome.DIFFERENT
    assert {part.subject for part in found.children} == {"metric:a@step 1", "metric:a@step 2"}


def test_several_values_at_one_step_are_compared_in_order() -> None:
    one = [Metric(key="a", value=value) for value in ("0x1p0", "0x1p1")]
    assert only(compare_metrics(one, one)).outcome is Outcome.IDENTICAL
    found = only(compare_metrics(one, one[::-1]))
    assert [part.subject for part in found.children] == ["metric:a@step 0 #1", "metric:a@step 0 #2"]


def test_missing_and_extra_keys() -> None:
    found = compare_metrics(series(1.0, key="a"), series(1.0, key="b"))
    assert [(each.subject, each.summary) for each in found] == [
        ("metric:a", "was not logged again; it was 1.0"),
        ("metric:b", "only in the re-run: 1.0"),
    ]


def test_further_runs_are_named() -> None:
    assert only(compare_metrics(series(1.0, run=2), series(1.0, run=2))).subject == "metric:run-2/rmse"


def test_tolerance_is_asked_for_each_subject() -> None:
    policy = Policy(rules=(Rule(pattern="metric:loss", tolerance=Tolerance(rtol=0.5)),))
    both = series(1.0, key="loss") + series(1.0, key="rmse")
    other = series(1.1, key="loss") + series(1.1, key="rmse")
    outcomes = {each.subject: each.outcome for each in compare_metrics(both, other, policy)}
    assert outcomes == {"metric:loss": Outcome.CLOSE, "metric:rmse": Outcome.DIFFERENT}


def test_stable_by_name_compares_no_values() -> None:
    policy = Policy(rules=(Rule(pattern="metric:seconds", stable="name"),))
    found = only(compare_metrics(series(1.0, key="seconds"), series(2.0, key="seconds"), policy))
    assert (found.outcome, found.canonicalised) == (
        Outcome.EQUIVALENT,
        ("value (declared stable by name only)",),
    )
    assert only(compare_metrics(series(1.0, key="seconds"), [], policy)).outcome is Outcome.DIFFERENT


@pytest.mark.parametrize(
    ("one", "two", "outcome"),
    [
        ("nan", "nan", Outcome.IDENTICAL),
        ("nan", "nan:7ff8000000000000", Outcome.IDENTICAL),
        ("nan:7ff8000000000001", "nan:7ff8000000000000", Outcome.DIFFERENT),
        ("nan", "0x0p0", Outcome.DIFFERENT),
        ("inf", "inf", Outcome.IDENTICAL),
        ("inf", "-inf", Outcome.DIFFERENT),
        ("0x0.0p+0", "-0x0.0p+0", Outcome.DIFFERENT),
        ("what", "what", Outcome.IDENTICAL),
        ("what", "0x1p0", Outcome.DIFFERENT),
        ("nan:xyz", "nan:" + "f" * 99, Outcome.DIFFERENT),
    ],
)
def test_special_values(one: str, two: str, outcome: Outcome) -> None:
    assert only(compare_metrics(series(one), series(two))).outcome is outcome
    assert only(compare_metrics(series(two), series(one))).outcome is outcome


def test_many_differing_steps_are_counted_beyond_the_first_thousand() -> None:
    found = only(
        compare_metrics(series(*map(float, range(3000))), series(*(step + 0.5 for step in range(3000))))
    )
    assert found.summary.startswith("3,000 of 3,000 values differ")
    assert len(found.children) == 1001
    assert found.children[-1].summary == "2,000 different not shown"


def test_number_of_reads_every_bit() -> None:
    assert number_of("0x1.999999999999ap-4") == 0.1
    with pytest.raises(ValueError):
        number_of("no number")


def test_parameters_are_text() -> None:
    before = [
        Parameter(key="depth", value="5"),
        Parameter(key="gone", value="x"),
        Parameter(key="same", value="1"),
    ]
    after = [
        Parameter(key="depth", value="5.0"),
        Parameter(key="same", value="1"),
        Parameter(key="new", value="y"),
    ]
    found = {each.subject: each for each in compare_parameters(before, after)}
    assert {name: each.outcome for name, each in found.items()} == {
        "parameter:depth": Outcome.DIFFERENT,
        "parameter:gone": Outcome.DIFFERENT,
        "parameter:same": Outcome.IDENTICAL,
        "parameter:new": Outcome.DIFFERENT,
    }
    assert found["parameter:depth"].summary == "`5` -> `5.0`"
    assert found["parameter:new"].summary == "only in the re-run: `y`"


def test_a_parameter_may_be_stable_by_name() -> None:
    policy = Policy(rules=(Rule(pattern="parameter:out", stable="name"),))
    one, two = ([Parameter(key="out", value=value)] for value in ("/a", "/b"))
    assert only(compare_parameters(one, two, policy)).outcome is Outcome.EQUIVALENT
