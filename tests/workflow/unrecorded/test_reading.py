"""A re-run's results as a store would keep them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from minimal import minimal_record
from reproof.compare.metrics import compare_metrics, compare_parameters
from reproof.model.difference import Difference, Outcome
from reproof.model.record import LoggedRun, Metric, Parameter, Record
from reproof.tracking.values import Run
from reproof.workflow.judge import Judgement
from reproof.workflow.unrecorded.reading import Reading
from reproof.workflow.unrecorded.results import Results

RUN = Run(run_id="r", name="mine", status="FINISHED")


def record(**parts: Any) -> Record:
    return minimal_record(
        **parts,
    )


def results(**parts: Any) -> Results:
    return Results(**{"runs": (LoggedRun(),), "metrics": (), "parameters": (), "products": (), **parts})


def measured(expected: Results, **parts: Any) -> Record:
    evidence: Any = SimpleNamespace(logged=SimpleNamespace(ids=("a", "b", "c"), models={}, makers={}))
    return Reading(expected, RUN, given=frozenset(), certain=True).measure(record(**parts), evidence)


def metrics(*values: str, key: str = "m", run: int = 0) -> tuple[Metric, ...]:
    return tuple(Metric(key=key, value=value, run=run) for value in values)


def same(expected: tuple[Metric, ...], actual: tuple[Metric, ...]) -> bool:
    found = measured(results(metrics=expected), metrics=actual, runs=(LoggedRun(),)).metrics
    return all(each.outcome is Outcome.IDENTICAL for each in compare_metrics(expected, found))


def test_what_a_store_changes_is_no_difference() -> None:
    assert same(metrics("inf"), metrics("inf"))
    assert same(metrics("inf"), metrics("0x1.fffffffffffffp+1023"))  # clamped to the largest double
    assert same(metrics("0x0.0p+0"), metrics("-0x0.0p+0"))
    assert same(metrics("nan"), metrics("nan:7ff8000000000001"))
    assert not same(metrics("nan"), metrics("inf"))
    assert not same(metrics((0.1 + 0.2).hex()), metrics((0.3).hex()))


def test_order_and_repetition_within_a_step() -> None:
    one, two = (1.0).hex(), (2.0).hex()
    assert same(metrics(one, two), metrics(two, one))  # logged within a millisecond
    assert same(metrics(one), metrics(one, one, one))
    assert not same(metrics(one, two), metrics(one))
    assert not same(metrics(one), metrics(one, two))


def test_long_parameters_are_shortened_as_the_store_does() -> None:
    expected = (Parameter(key="p", value="x" * 500), Parameter(key="q", value="x" * 5))
    actual = (Parameter(key="p", value="x" * 700), Parameter(key="q", value="x" * 7))
    found = measured(results(parameters=expected), parameters=actual, runs=(LoggedRun(),)).parameters
    assert [each.outcome for each in compare_parameters(expected, found)] == [
        Outcome.IDENTICAL,
        Outcome.DIFFERENT,
    ]


def test_the_run_that_is_meant_is_chosen_among_several() -> None:
    runs = (LoggedRun(), LoggedRun(), LoggedRun(parent=1))
    logged = tuple(Parameter(run=number, key="rate", value=str(number)) for number in range(3))
    wanted = results(parameters=(Parameter(key="rate", value="1"),))
    found = measured(wanted, runs=runs, parameters=logged, metrics=metrics("0x1p0", run=2))
    assert [(each.run, each.value) for each in found.parameters] == [(0, "1"), (1, "2")]
    assert found.metrics[0].run == 1


def difference(subject: str, outcome: Outcome, kind: str, **parts: Any) -> Difference:
    return Difference(subject=subject, outcome=outcome, summary="s", kind=kind, **parts)


def test_the_last_word() -> None:
    metric = difference("metric:m", Outcome.DIFFERENT, "metric")
    other = difference("parameter:p", Outcome.DIFFERENT, "parameter", expected="1", actual="2")
    given = difference("parameter:g", Outcome.DIFFERENT, "parameter", expected="1")
    place = difference(
        "parameter:d", Outcome.DIFFERENT, "parameter", expected="/a/b/x.csv", actual="${PROJECT}/x.csv"
    )
    certain = Reading(results(), RUN, given=frozenset({"g"}), certain=True)
    told = certain.settle(Judgement(differences=(metric, other, given, place)))
    assert [each.outcome for each in told.differences] == [
        Outcome.DIFFERENT,
        Outcome.DIFFERENT,
        Outcome.EQUIVALENT,
    ]
    assert told.not_checked[0].subject == "parameter:g"
    guessed = Reading(results(), RUN, given=frozenset(), certain=False)
    assert guessed.settle(Judgement(differences=(metric, other))).outcome is Outcome.UNKNOWN
    assert guessed.settle(Judgement(differences=(metric,))).outcome is Outcome.DIFFERENT


def test_a_re_run_that_fails_decides_nothing() -> None:
    log = difference("stderr", Outcome.DIFFERENT, "log")
    status = difference("exit status", Outcome.DIFFERENT, "status", expected="0", actual="1", children=(log,))
    gone = difference("metric:m", Outcome.DIFFERENT, "metric")
    certain = Reading(results(), RUN, given=frozenset(), certain=True)
    told = certain.settle(Judgement(differences=(status, gone)))
    assert told.outcome is Outcome.UNKNOWN
    assert told.differences[0].children[0].kind == "log"


def test_a_re_run_that_opened_no_run_has_nothing_of_it() -> None:
    expected = results(metrics=metrics("1.0"))
    assert measured(expected, runs=()).runs == ()


def test_nothing_is_different_from_one_of_several_equal_runs() -> None:
    reading = Reading(results(), RUN, given=frozenset(), certain=True)
    evidence: Any = SimpleNamespace(logged=SimpleNamespace(ids=("a", "b"), models={}, makers={}))
    reading.measure(record(runs=(LoggedRun(), LoggedRun())), evidence)
    metric = difference("metric:m", Outcome.DIFFERENT, "metric")
    assert reading.settle(Judgement(differences=(metric,))).outcome is Outcome.UNKNOWN
    reading = Reading(results(), RUN, given=frozenset(), certain=True)
    reading.measure(record(runs=(LoggedRun(), LoggedRun(name="mine"))), evidence)
    assert reading.settle(Judgement(differences=(metric,))).outcome is Outcome.DIFFERENT
    assert reading.notes["runs"].startswith("run 2 of the 2")
