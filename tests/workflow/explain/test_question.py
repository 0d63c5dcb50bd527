"""What is asked: how much worse a metric is, which results count, and whose result a re-run has."""

from __future__ import annotations

import math

import pytest

from minimal import minimal_record
from reproof.errors import UsageError
from reproof.model.difference import Difference, Outcome
from reproof.model.record import Byproducts, Record
from reproof.workflow.explain.question import Question, choose_subjects, parse_share, worsening
from reproof.workflow.explain.trials import STATUS, Facts, Standing

LIKE_A, LIKE_B, NEITHER = (
    Standing(True, False, 0, 4),
    Standing(False, True, 4, 0),
    Standing(False, False, 4, 4),
)


def record(status: int = 0) -> Record:
    return minimal_record(
        byproducts=Byproducts(exit_status=status),
    )


@pytest.mark.parametrize(
    ("base", "value", "upwards", "expected"),
    [
        (10.0, 10.1, True, 0.01),
        (10.0, 9.0, True, -0.1),
        (0.8, 0.6, False, 0.25),
        (-2.0, -1.0, True, 0.5),
        (0.0, 1.0, True, math.inf),
        (0.0, 0.0, True, 0.0),
        (1.0, math.nan, False, math.inf),
    ],
)
def test_how_much_worse(base: float, value: float, upwards: bool, expected: float) -> None:
    assert worsening(base, value, upwards=upwards) == pytest.approx(expected)


def test_shares() -> None:
    assert parse_share("0.5%") == pytest.approx(0.005)
    assert parse_share(" 0.02 ") == pytest.approx(0.02)
    for text in ("much", "-1%", "5%%", "nan", ""):
        with pytest.raises(UsageError):
            parse_share(text)


def test_what_repeats_the_set_up_is_left_aside_only_where_something_else_differs() -> None:
    names = ("metric:rmse", "parameter:rate", "mlflow/models/m/requirements.txt")
    found = [Difference(subject=name, outcome=Outcome.DIFFERENT, summary="") for name in names]
    subjects, aside = choose_subjects(found)
    assert subjects == ("metric:rmse",)
    assert [name for name, _ in aside] == list(names[1:])
    assert choose_subjects(found[1:]) == (names[1:], ())


def test_whose_result() -> None:
    question = Question(a=record(), b=record(), subjects=("x", "y"))
    for standings, came in (
        ((LIKE_A, LIKE_A), "A"),
        ((LIKE_B, LIKE_B), "B"),
        ((LIKE_A, LIKE_B), "other"),
        ((NEITHER, LIKE_B), "other"),
    ):
        facts = Facts(exit_status=0, standings=dict(zip("xy", standings, strict=True)))
        assert question.came(facts) == came
    assert question.came(Facts(problem="no such package")) == "unresolved"
    assert question.came(Facts(exit_status=1, problem="TypeError: no")) == "unresolved"


def test_another_failure_than_that_of_b_is_no_result() -> None:
    question = Question(
        a=record(), b=record(1), subjects=(STATUS,), complaints=("", "a\nTypeError: one thing")
    )
    like_b = {STATUS: LIKE_B}
    assert question.came(Facts(exit_status=1, standings=like_b, problem="TypeError: another thing")) == "B"
    assert question.came(Facts(exit_status=1, standings=like_b, problem="ImportError: numpy")) == "unresolved"


def test_a_metric_is_good_or_bad() -> None:
    question = Question(a=record(), b=record(), metric="rmse", limit=0.005, values=(10.0, 11.0))
    for value, came in ((10.0, "A"), (10.04, "A"), (10.06, "B"), (9.0, "A"), (math.nan, "B")):
        assert question.came(Facts(exit_status=0, metrics={"rmse": value.hex()})) == came
    assert question.came(Facts(exit_status=0)) == "unresolved"
